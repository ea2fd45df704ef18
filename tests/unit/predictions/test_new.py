"""The form of new predictions."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_labelled, make_summary, make_table, make_version
from tests.factories.ensembles import make_classifier
from tests.factories.heads import make_head
from tests.factories.predictions import make_prediction
from training.backbones.multi_task.config import PRESETS as MULTI_TASKS
from training.predicting.spec import PredictSpec
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.models import Checkpoint
from webapp.predictions import selectors
from webapp.predictions.models import Prediction

URL = "/predictions/new"


def fields(version: Any, model: str, **changed: Any) -> dict[str, Any]:
    return {
        "model": model,
        "version": str(version.pk),
        "split": "all",
        "unknown_labels": "leave_out",
        "other_types": "convert",
        "format": "csv",
        "name": "",
    } | changed


@pytest.fixture
def version(cast: Cast) -> Any:
    return make_labelled(cast)


def test_a_form_becomes_a_job_with_a_frozen_spec(alice: Client, cast: Cast, version: Any) -> None:
    older = make_labelled(cast, name="Older")
    made = make_classifier(cast, name="Bert", dataset_version=older)
    chosen = {"split": "test", "unknown_labels": "refuse", "format": "parquet"}
    answer = alice.post(URL, fields(version, f"checkpoint/{made.pk}", **chosen))
    row = Prediction.objects.get()
    assert answer["Location"] == f"/predictions/{row.pk}"
    assert (row.name, row.owner, row.team) == ("Bert → Reviews", cast.alice, cast.team)
    assert (row.job.kind, row.job.queue, row.job.state) == ("predict", "cpu", "queued")
    spec = PredictSpec.model_validate(row.job.spec)
    assert spec.checkpoint == f"store:checkpoint/{made.pk}"
    assert spec.data.path == f"store:dataset/{version.pk}"
    assert (spec.split, spec.unknown_labels, spec.format) == ("test", "refuse", "parquet")
    assert spec.trained_on == [f"store:dataset/{older.pk}"]
    event = AuditEvent.objects.get(action="prediction.create")
    assert (event.actor, event.object_id) == (cast.alice, str(row.pk))


def test_a_head_goes_with_the_checkpoint_whose_features_it_reads(
    alice: Client, cast: Cast, version: Any
) -> None:
    head = make_head(cast, version=make_labelled(cast, name="Fitted on"))
    alice.post(URL, fields(version, f"head/{head.pk}"))
    row = Prediction.objects.get()
    assert (row.head, row.checkpoint) == (head, head.checkpoint)
    spec = PredictSpec.model_validate(row.job.spec)
    assert (spec.head, spec.checkpoint) == (
        f"store:head/{head.pk}",
        f"store:checkpoint/{head.checkpoint_id}",
    )
    assert spec.trained_on == [f"store:dataset/{head.dataset_version_id}"]


def test_what_predicts_is_offered_and_nothing_else(cast: Cast, alice: Client) -> None:
    classifier = make_classifier(cast)
    number = make_classifier(cast, ["rating"])
    make_checkpoint(cast)  # a GPT-2, which writes
    Checkpoint.objects.filter(pk=make_classifier(cast).pk).update(stage="archived")
    make_classifier(cast, team=cast.other_team, owner=cast.mallory)
    tasks = make_checkpoint(
        cast,
        config=MULTI_TASKS["nano"],
        card={
            "weights_sha256": "ab" * 32,
            "architecture": "multi_task",
            "parameters": 5,
            "tasks": [{"name": "rich", "classes": ["no", "yes"]}, {"name": "pay", "mean": 1}],
        },
    )
    head = make_head(cast, checkpoint=classifier)
    assert [one.key for one in selectors.models(cast.team)] == [
        f"checkpoint/{tasks.pk}",
        f"checkpoint/{number.pk}",
        f"checkpoint/{classifier.pk}",
        f"head/{head.pk}",
    ]
    text = alice.get(URL).content.decode()
    for said in ("table, 2 targets", "texts, a number: rating", "texts, 2 classes"):
        assert said in text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda cast: make_table(cast), "The model reads texts, and these data hold none."),
        (
            lambda cast: make_version(cast, summary=make_summary(pair_field="reply")),
            "The model learned from single texts, and these are pairs.",
        ),
    ],
)
def test_data_that_the_model_does_not_read_are_refused_at_once(
    made: Any, said: str, alice: Client, cast: Cast
) -> None:
    card = {
        "weights_sha256": "cd" * 32,
        "architecture": "bert",
        "parameters": 5,
        "inputs": {"most_tokens": 16, "pairs": False},
    }
    model = make_classifier(cast, card=card)
    answer = alice.post(URL, fields(made(cast), f"checkpoint/{model.pk}"))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Prediction.objects.exists()


def test_a_split_that_is_not_there_is_refused(alice: Client, cast: Cast) -> None:
    splits = {"train": {"documents": 5}, "validation": {"documents": 2}}
    version = make_version(cast, summary=make_summary(splits=splits))
    model = make_classifier(cast)
    answer = alice.post(URL, fields(version, f"checkpoint/{model.pk}", split="test"))
    assert "has no test split" in answer.content.decode()
    other = fields(version, "checkpoint/nonsense")
    assert "no longer there" in alice.post(URL, other).content.decode()


def test_links_choose_for_the_form(alice: Client, cast: Cast, version: Any) -> None:
    model = make_classifier(cast)
    text = alice.get(f"{URL}?checkpoint={model.pk}&data={version.pk}").content.decode()
    assert f'<option value="checkpoint/{model.pk}" selected>' in text
    assert f'<option value="{version.pk}" selected>' in text
    row = make_prediction(cast, checkpoint=model, version=version)
    text = alice.get(f"{URL}?like={row.pk}").content.decode()
    assert '<option value="test" selected>' in text
    assert f'<option value="checkpoint/{model.pk}" selected>' in text


def test_only_who_may_write_predicts(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert client.get(URL).status_code == 403
    row = make_prediction(cast)
    client.force_login(cast.mallory)
    assert client.get(f"{URL}?like={row.pk}").status_code == 404
