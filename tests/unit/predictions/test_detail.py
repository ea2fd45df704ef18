"""Pages of predictions, in every state, and where else they are shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.datasets import make_labelled, make_table
from tests.factories.ensembles import NAMES, make_classifier
from tests.factories.predictions import Rows, Texts, make_prediction
from training.data.remarks import remark
from training.predicting.targets import Target
from webapp.jobs.models import State


def page(client: Client, row: Any, query: str = "") -> str:
    return client.get(f"/predictions/{row.pk}{query}").content.decode()


def test_scores_and_what_was_left_out_are_shown(alice: Client, cast: Cast) -> None:
    text = page(alice, make_prediction(cast))
    for part in (
        "60 with a known label, 1 unknown, 1 without",
        "test split: 60 examples with a known label",
        "always the commonest class of these data",
        "Rows whose label the model does not know: 1 (ugly (1))",
        "most wrong first",
        "good &lt;b&gt;",
        "Text &lt;i&gt;",
        "How sure it is, and how right",
    ):
        assert part in text, part
    assert "examples it never saw" not in text
    assert "Text <i>" not in text


def test_examples_are_paged_through_in_each_order(alice: Client, cast: Cast) -> None:
    row = make_prediction(cast)
    first = page(alice, row)
    assert "1 of 3" in first
    assert "Here stand 60 of 62" in first
    last = page(alice, row, "?order=first&page=3")
    assert '<ol class="documents predictions" start="51">' in last
    assert "Text &lt;i&gt;61&lt;/i&gt;" in last
    assert "unknown to the model" in last
    # What is no page and no order is the nearest that is.
    for query in ("?page=x", "?page=0&order=nonsense", "?page=" + "9" * 40):
        assert "1 of 3" in page(alice, row, query)
    assert "3 of 3" in page(alice, row, "?page=99")
    part = alice.get(f"/predictions/{row.pk}?page=2", headers={"HX-Request": "true"})
    assert part.content.decode().strip().startswith('<section class="panel" id="examples"')


def test_predictions_without_labels_are_shown_without_scores(alice: Client, cast: Cast) -> None:
    text = page(alice, make_prediction(cast, given=Texts(None, 30)))
    for part in ("not scored", "The data have no label", "least certain first", "sure by"):
        assert part in text
    for part in ("most wrong first", "Beside what it must beat", "Precision"):
        assert part not in text


def test_several_targets_of_a_table_are_shown_each(alice: Client, cast: Cast) -> None:
    given = Rows([float(one) for one in range(40)], 40)
    targets = (Target("pay"), Target("grade", ("1", "2", "3")))
    notes = [remark("predicted_columns_extra", count=1, columns="shoe <b>")]
    column = {
        "name": "job",
        "type": "category",
        "found": "category",
        "missing": 3,
        "unread": {"rows": 0, "values": 0, "largest": []},
        "unseen": {"rows": 7, "values": 1, "largest": [{"name": "pilot <b>", "rows": 7}]},
    }
    row = make_prediction(
        cast,
        given=given,
        targets=targets,
        version=make_table(cast),
        report={"columns": [column], "remarks": notes},
    )
    text = page(alice, row)
    for part in (
        "Predicted against true",
        "always the mean of these data",
        "pilot &lt;b&gt;",
        "shoe &lt;b&gt;",
        "cook &lt;b&gt;",
        "grade",
        "RMSE",
        "37 unknown",
    ):
        assert part in text, part


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_a_live_one_polls_and_can_be_cancelled(state: str, alice: Client, cast: Cast) -> None:
    row = make_prediction(cast, job={"state": state, "phase": "predicting", "fraction": 0.5})
    text = page(alice, row)
    assert 'hx-trigger="every 2s"' in text
    assert ("Predicting…" if state == State.RUNNING else "Waiting for a worker") in text
    alice.post(f"/predictions/{row.pk}/cancel")
    row.job.refresh_from_db()
    assert row.job.state == State.CANCELLED or row.job.requested == "cancel"


def test_a_refusal_says_what_to_do(alice: Client, cast: Cast) -> None:
    params = {"count": 1, "columns": "job (constant)", "known": "age"}
    job = {
        "state": State.FAILED,
        "error_code": "predict_columns_missing",
        "error_params": params,
    }
    row = make_prediction(cast, job=job)
    text = page(alice, row)
    assert "columns that the data lack (1): job (constant)" in text
    assert "Choose otherwise" in text
    assert 'hx-trigger="every' not in text
    alice.post(f"/predictions/{row.pk}/retry")
    row.job.refresh_from_db()
    assert row.job.state == State.QUEUED


def test_all_predictions_are_downloaded(alice: Client, cast: Cast) -> None:
    row = make_prediction(cast, name="A → b, with=signs")
    answer = alice.get(f"/predictions/{row.pk}/download")
    assert answer["Content-Disposition"] == 'attachment; filename="a-b-withsigns.csv"'
    content = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    head, *lines = content.splitlines()
    assert head == "id,split,predicted,probability.good <b>,probability.bad,label"
    assert len(lines) == 62
    alice.force_login(cast.mallory)
    for address in ("", "/download"):
        assert alice.get(f"/predictions/{row.pk}{address}").status_code == 404


def test_files_that_are_gone_are_told(alice: Client, cast: Cast) -> None:
    row = make_prediction(cast)
    for entry in row.manifest.values():
        entry["blake3"] = "ab" * 32
    row.save()
    assert "most wrong first" not in page(alice, row)
    answer = alice.get(f"/predictions/{row.pk}/download")
    assert answer["Location"] == f"/predictions/{row.pk}"


def test_they_are_listed_where_they_belong(alice: Client, cast: Cast) -> None:
    model = make_classifier(cast, name="Judge")
    row = make_prediction(cast, checkpoint=model, name="My predictions")
    for address in (
        "/predictions/",
        f"/checkpoints/{model.pk}",
        f"/data/versions/{row.dataset_version_id}",
    ):
        text = alice.get(address, follow=True).content.decode()
        assert f"/predictions/{row.pk}" in text, address
        assert "My predictions" in text
    assert "/predictions/new?checkpoint=" in alice.get(f"/checkpoints/{model.pk}").content.decode()
    alice.force_login(cast.vera)
    text = alice.get(f"/checkpoints/{model.pk}").content.decode()
    assert "/predictions/new" not in text
    alice.force_login(cast.mallory)
    assert "No predictions yet" in alice.get("/predictions/").content.decode()


def test_the_list_asks_the_database_as_often_for_many(
    alice: Client, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    version = make_labelled(cast)
    for _ in range(5):
        make_prediction(cast, version=version, given=Texts([*NAMES], 2))
    with django_assert_max_num_queries(8):
        alice.get("/predictions/")
