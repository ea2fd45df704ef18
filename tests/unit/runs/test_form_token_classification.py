"""The form of a run that tags words, its report, and what its checkpoint leads to."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.datasets import make_labelled, make_tagged
from tests.factories.runs import make_curve, make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.bert.config import PRESETS as BERT
from training.backbones.resnet.config import PRESETS as RESNETS
from training.fine_tuning.settings import scratch_twin, with_classes
from training.methods.task_related.token_classification_spec import TokenClassificationSpec
from webapp import taggings
from webapp.jobs.models import State
from webapp.runs import estimates, services
from webapp.runs.form_token_classification import TokenClassificationForm
from webapp.runs.models import Run
from webapp.runs.sources import of_run

NANO = BERT["nano"]
NAMES = ["O", "B-PER", "I-PER", "B-LOC"]


@pytest.fixture
def sentences(cast: Cast) -> Any:
    return make_tagged(cast)


def network(cast: Cast, config: Any = NANO, **fields: Any) -> Any:
    values = {"name": "Reader", "config": config, "architecture": config.architecture, "card": {}}
    return make_source(cast, **values | fields)


def form_of(cast: Cast, version: Any, source: Any = None, **values: Any) -> TokenClassificationForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    begun = {"how": "transfer", "source": f"checkpoint/{source.pk}"} if source else {}
    return TokenClassificationForm(
        begun | {"data": str(version.pk)} | typed, cast.team, submitted=True
    )


def test_a_network_of_texts_gets_a_head_that_tags_words(cast: Cast, sentences: Any) -> None:
    form = form_of(cast, sentences, network(cast), training__policy="gradual")
    spec = form.validate()
    assert spec is not None, form.errors
    assert isinstance(spec, TokenClassificationSpec)
    assert spec.training.policy == "gradual"
    assert (form.config.head, form.config.labels) == ("token_classification", NAMES)
    assert form.afresh == ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize(
    ("names", "head", "keeps"),
    [
        (NAMES, "token_classification", True),
        (NAMES[::-1], "token_classification", True),
        ([*NAMES[:3], "B-ORG"], "token_classification", False),
        # What tells texts apart, whatever its classes are called, is no such head.
        (NAMES, "classification", False),
    ],
)
def test_a_head_is_kept_for_the_very_same_tags(
    names: list[str], head: Any, keeps: bool, cast: Cast, sentences: Any
) -> None:
    form = form_of(cast, sentences, network(cast, with_classes(NANO, names, head)))
    assert form.validate() is not None, form.errors
    assert form.keeps_head is keeps
    assert bool(form.afresh) is not keeps


def test_other_data_and_networks_of_images_are_not_taken(cast: Cast, sentences: Any) -> None:
    form = form_of(cast, make_labelled(cast), network(cast))
    assert form.validate() is None
    assert "no longer there" in " ".join(form.errors["data"])
    form = form_of(cast, sentences, network(cast, RESNETS["nano"], name="Eyes"))
    assert form.validate() is None
    assert form.errors["source"]


def test_it_cannot_begin_from_nothing_but_as_a_twin(
    alice: Client, cast: Cast, sentences: Any
) -> None:
    new = f"{reverse('runs:new')}?method=token_classification&how=scratch"
    page = alice.get(new).text
    assert 'value="scratch"' not in page
    assert 'name="model"' not in page
    source = network(cast)
    spec = TokenClassificationSpec.model_validate(
        {
            "data": {"path": f"store:dataset/{sentences.pk}"},
            "source": {"checkpoint": f"store:checkpoint/{source.pk}"},
        }
    )
    twin = scratch_twin(spec, NANO)
    form = TokenClassificationForm.from_spec(twin.model_dump(mode="json"), cast.team)
    assert not form.is_transfer
    assert len(form.sizes) == 1
    assert TokenClassificationForm.from_post(posted(form), cast.team).validate() == twin


def test_nothing_of_images_is_asked(alice: Client) -> None:
    page = alice.get(f"{reverse('runs:new')}?method=token_classification").text
    for setting in ("image_px", "augmentation", "normalisation", "training.norms"):
        assert setting not in page
    assert "inputs.most_tokens" in page


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast, sentences: Any) -> None:
    source = network(cast)
    spec = TokenClassificationSpec.model_validate(
        {
            "data": {"path": f"store:dataset/{sentences.pk}"},
            "source": {"checkpoint": f"store:checkpoint/{source.pk}"},
            "examples": 50,
            "inputs": {"most_tokens": 40},
            "training": {"policy": "gradual", "stages": 2, "l2_sp": 0.01},
        }
    )
    form = TokenClassificationForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert TokenClassificationForm.from_post(posted(form), cast.team).validate() == spec


def sent(client: Client, cast: Cast, form: TokenClassificationForm) -> Run:
    client.force_login(cast.alice)
    answer = client.post(reverse("runs:new"), posted(form))
    assert answer.status_code == 302, answer.text
    return Run.objects.get(twin_of=None)


def test_sent_it_becomes_a_run_with_a_twin_and_a_source_on_its_way(
    client: Client, cast: Cast, sentences: Any
) -> None:
    run = sent(client, cast, form_of(cast, sentences, network(cast), name="Tagger"))
    assert (run.method, run.twin.method) == ("token_classification", "token_classification")
    assert run.twin.job.spec["source"] is None
    promised = of_run(run)
    assert promised is not None
    assert promised.tags_words
    page = client.get(f"{reverse('runs:new')}?source={run.pk}").text
    assert 'name="method" value="token_classification"' in page


def test_a_link_from_a_source_comes_to_the_form_that_takes_its_data(
    alice: Client, cast: Cast, sentences: Any
) -> None:
    plain = network(cast)
    tagger = network(cast, with_classes(NANO, NAMES, "token_classification"), name="Tagger")

    def method(query: str) -> str:
        return str(alice.get(f"{reverse('runs:new')}?{query}").context["form"].method)

    assert method(f"source={plain.pk}") == "classification"
    assert method(f"source={tagger.pk}") == "token_classification"
    assert method(f"source={plain.pk}&data={sentences.pk}") == "token_classification"


def test_an_estimate_counts_sentences_whatever_was_counted(
    client: Client, cast: Cast, sentences: Any
) -> None:
    run = sent(client, cast, form_of(cast, sentences, network(cast), name="Tagger"))
    told = {"counts": "words", "tokens": 640_000, "steps": 200}
    batch = run.job.spec["training"]["batch_size"]
    assert estimates._examples(run, told) == 200 * batch
    assert estimates._examples(run, told | {"counts": "examples"}) == 640_000
    page = client.get(f"{reverse('runs:new')}?again={run.pk}").text
    assert "Sentences seen" in page or "What it learns" in page


# --- the report -----------------------------------------------------------------------------------


def side(f1: float, accuracy: float) -> dict[str, Any]:
    rates = {"precision": f1, "recall": f1, "f1": f1}
    return {
        "accuracy": accuracy,
        "macro_f1": accuracy - 0.1,
        "loss": 0.25,
        "words": 4567,
        "sentences": 321,
        "tags": [
            {"name": "O", **rates, "words": 4000},
            {"name": "B-PER", **rates, "words": 300},
            {"name": "I-PER", **rates, "words": 267},
        ],
        "entities": {
            **rates,
            "entities": 300,
            "types": [{"name": "PER", **rates, "entities": 300}],
        },
        "intervals": {
            "accuracy": [accuracy - 0.01, accuracy + 0.01],
            "macro_f1": [0.1, 0.2],
            "entity_f1": [f1 - 0.02, f1 + 0.02],
        },
    }


def scored(f1: float = 0.9, **fields: Any) -> dict[str, Any]:
    looked = {"loss": 0.3, "accuracy": 0.95, "words": 80}
    return {
        "version": 1,
        "duration_s": 3,
        "steps": 20,
        "tokens": 6400,
        "counts": "words",
        "tags": NAMES,
        "scheme": "IOB2",
        "measure": "entity_f1",
        "examples": 171,
        "words": 3000,
        "split": "test",
        "before": {"validation": looked, "test": looked | {"accuracy": 0.2}},
        "after": {"validation": looked, "test": looked},
        "scores": {
            "model": side(f1, 0.97),
            "forms": side(0.8, 0.95),
            "lexicon": side(0.7, 0.93),
            "majority": side(0.0, 0.87),
        },
        "beaten_by": [],
        "confusion": {"tags": NAMES[:3], "words": [[3990, 6, 4], [12, 288, 0], [1, 0, 266]]},
        "confused": [{"tag": "B-PER", "predicted": "O", "words": 12, "share": 0.04}],
        "predictions": [
            {
                "id": 7,
                "loss": 9.5,
                "wrong": 1,
                "words": ["Anna", "<Blum>", "met"],
                "tags": ["B-PER", "I-PER", "O"],
                "predicted": ["B-PER", "O", "O"],
            }
        ],
        "unseen": {
            "train": {"cut": 0, "sentences": 0, "pieceless": 0},
            "test": {"cut": 1234, "sentences": 5, "pieceless": 2},
        },
    } | fields


def test_the_report_shows_words_tags_and_entities_with_the_twin_beside(
    client: Client, cast: Cast, sentences: Any
) -> None:
    run = sent(client, cast, form_of(cast, sentences, network(cast), name="Tagger"))
    for one, best in ((run, 0.3), (run.twin, 0.6)):
        make_curve(one, {0: 0.9, 20: best})
    set_state(run, State.SUCCEEDED, report=scored())
    set_state(run.twin, State.SUCCEEDED, report=scored(0.95))
    services.comparison_update(run.twin)
    page = client.get(reverse("runs:report", args=[run.pk])).text
    for told in (
        "The transfer helped",
        "the scratch twin",
        "the commonest tag of each word",
        "logistic regression on the forms of words",
        "4,567 words of 321 sentences",
        "Entities are read as IOB2",
        "1,234 words of 5 sentences are beyond the longest text",
        "the tokenizer makes nothing of 2 words",
        "1 of 3 words wrong",
        '<span class="word word-wrong">&lt;Blum&gt;<small><b>I-PER</b>',
        '<span class="word" title="B-PER">Anna</span>',
        "Most frequent mistakes",
        "accuracy by word",
        "the commonest tags",
    ):
        assert told in page, told
    # The twin is better here, and that is said of it.
    assert "It adds nothing here: its F1 over entities is 90.0%, and another&#x27;s 95.0%" in page
    assert page.count('class="number right-10"') == 3


def test_plain_tags_are_judged_by_the_word(client: Client, cast: Cast, sentences: Any) -> None:
    run = sent(client, cast, form_of(cast, sentences, network(cast), name="Tagger"))
    make_curve(run, {0: 0.9, 20: 0.3})
    scores = {
        name: one | {"entities": None, "intervals": {"accuracy": one["intervals"]["accuracy"]}}
        for name, one in scored()["scores"].items()
    }
    report = scored(scheme=None, measure="accuracy", scores=scores)
    set_state(run, State.SUCCEEDED, report=report)
    page = client.get(reverse("runs:report", args=[run.pk])).text
    assert "It tags 97.0% of the words right, 2.0 points more than the next best" in page
    assert "Entity F1" not in page
    assert "Entities are read" not in page


@pytest.mark.parametrize(
    ("model", "other", "said"),
    [
        (0.9, 0.9, "adds nothing"),
        (0.9, 0.89, "not make that difference certain"),
        (0.9, 0.5, "40.0 points more"),
    ],
)
@pytest.mark.parametrize("measure", ["accuracy", "entity_f1"])
def test_the_verdict_says_when_a_baseline_is_as_good(
    measure: str, model: float, other: float, said: str
) -> None:
    scores = {"model": side(model, model), "lexicon": side(other, other)}
    assert said in taggings.verdict({"scores": scores, "measure": measure})
