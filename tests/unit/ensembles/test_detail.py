"""A page of an ensemble, in every state."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.datasets import make_labelled
from tests.factories.ensembles import make_classifier, make_ensemble, make_report
from webapp.ensembles import figures
from webapp.jobs.models import State


def page(client: Client, row: Any) -> str:
    return client.get(f"/ensembles/{row.pk}").content.decode()


def gains(accuracy: float, low: float = 0.0, loss: float = 0.0) -> dict[str, Any]:
    one = {
        "accuracy": {"gain": accuracy, "interval": [low, accuracy + 0.05]},
        "loss": {"gain": loss, "interval": [loss - 0.1, loss + 0.1]},
    }
    return {"over_mean": one, "over_best": one}


@pytest.mark.parametrize(
    ("gain", "said", "beats"),
    [
        (gains(-0.02), "does not beat its best member", False),
        (gains(0.0, loss=-0.1), "right no more often than its best member", False),
        (gains(0.0, loss=0.1), "right no more often than its best member", True),
        (gains(0.03, low=-0.01), "do not make the gain over the best member certain", True),
        (gains(0.03, low=0.01), "3.0 points more than its best member", True),
    ],
)
def test_it_says_plainly_what_it_is_worth(
    cast: Cast, gain: dict[str, Any], said: str, beats: bool
) -> None:
    report = make_report([make_classifier(cast), make_classifier(cast)], gains=gain)
    assert said in figures.verdict(report, {})
    assert figures.beats(report) == beats


def test_the_report_has_members_gains_and_disagreement(alice: Client, cast: Cast) -> None:
    members = [make_classifier(cast, name="First <b>"), make_classifier(cast, name="Second")]
    row = make_ensemble(cast, members=members)
    text = page(alice, row)
    for part in (
        "First &lt;b&gt;",
        "mean of the members",
        "best member",
        "were there",
        "computed in 3.0 s; the rest was there and saved 2.0 s",
        "two members, on average: 20.0%",
        "words alone (TF-IDF)",
        "Where it is most wrong",
    ):
        assert part in text, part
    assert "hx-trigger" not in text.split('id="ensemble"')[1].split(">")[0]


def test_a_member_that_learned_from_the_test_split_is_told(alice: Client, cast: Cast) -> None:
    members = [make_classifier(cast, name="Spoiled"), make_classifier(cast)]
    report = make_report(members)
    report["members"][0]["overlap"] = {"known": "counted", "examples": 17}
    report["members"][1]["overlap"] = {"known": "no", "examples": None}
    text = page(alice, make_ensemble(cast, members=members, report=report))
    assert "Spoiled: it learned from 17 of the examples that it is judged on." in text
    assert "nobody knows whether it learned from these examples" in text


def test_a_member_that_is_gone_keeps_its_line(alice: Client, cast: Cast) -> None:
    members = [make_classifier(cast), make_classifier(cast)]
    row = make_ensemble(cast, members=members)
    row.members.remove(members[0])
    assert members[0].weights_sha256[:12] in page(alice, row)


def test_while_it_waits_its_runs_stand_there(alice: Client, cast: Cast) -> None:
    row = make_ensemble(cast, job={"state": State.WAITING})
    text = page(alice, row)
    assert "Waits for its members" in text
    assert "every 2s" in text


def test_a_failure_is_a_sentence_and_can_be_tried_again(alice: Client, cast: Cast) -> None:
    error = {"error_code": "ensemble_needs_test", "error_params": {}}
    row = make_ensemble(cast, job={"state": State.FAILED, **error})
    text = page(alice, row)
    assert "must be judged on a test split" in text
    alice.post(f"/ensembles/{row.pk}/retry")
    row.job.refresh_from_db()
    assert row.job.state == State.QUEUED
    alice.post(f"/ensembles/{row.pk}/cancel")
    row.job.refresh_from_db()
    assert row.job.state == State.CANCELLED


def test_another_team_s_is_not_there(client: Client, cast: Cast) -> None:
    row = make_ensemble(cast)
    client.force_login(cast.mallory)
    for path in ("", "/cancel", "/retry"):
        answer = client.post if path else client.get
        assert answer(f"/ensembles/{row.pk}{path}").status_code == 404


def test_the_list_shows_them_beside_their_best_member(alice: Client, cast: Cast) -> None:
    make_ensemble(cast, name="Two heads")
    text = alice.get("/ensembles/").content.decode()
    assert "Two heads" in text
    assert "78.0%" in text
    assert "75.0%" in text


def test_data_and_members_name_their_ensembles(alice: Client, cast: Cast) -> None:
    version, members = make_labelled(cast), [make_classifier(cast), make_classifier(cast)]
    row = make_ensemble(cast, name="Two heads", version=version, members=members)
    for url in (f"/data/versions/{version.pk}", f"/checkpoints/{members[0].pk}"):
        assert f"/ensembles/{row.pk}" in alice.get(url).content.decode()
