"""The report, and the sentence that says whether a transfer was worth it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.runs import make_curve, make_run, make_source, set_state
from training.evaluation.transfer_gain import transfer_gain
from webapp.jobs.models import State
from webapp.runs.models import Run
from webapp.runs.services import comparison_update
from webapp.runs.verdicts import verdict


def scores(loss: float) -> dict[str, float]:
    return {"loss": loss, "perplexity": 2.718**loss, "accuracy": 0.25, "tokens": 1000}


def report(before: float, after: float, text: str) -> dict[str, Any]:
    return {
        "steps": 400,
        "tokens": 819_200,
        "duration_s": 40,
        "before": {"validation": scores(before), "test": None},
        "after": {"validation": scores(after), "test": scores(after)},
        "samples": {
            "before": [{"prompt": "Once", "text": " garbage"}],
            "after": [{"prompt": "Once", "text": text}],
        },
        "weights": {
            "copied": 52,
            "initialised": 0,
            "left_behind": 0,
            "parameters_copied": 1_334_016,
            "parameters_total": 1_334_016,
            "verified": True,
        },
    }


@pytest.fixture
def compared(cast: Cast) -> Run:
    run = make_run(cast, source=make_source(cast), twin=True, name="The transfer")
    make_curve(run, {0: 6.0, 10: 5.2, 20: 5.0})
    make_curve(run.twin, {0: 8.0, 10: 6.0, 20: 5.5})
    set_state(run, State.SUCCEEDED, report=report(6.1, 5.0123, " upon a time"))
    set_state(run.twin, State.SUCCEEDED, report=report(8.1, 5.5555, " a dark night"))
    comparison_update(run.twin)
    return run


def test_it_tells_the_whole_story(client: Client, cast: Cast, compared: Run) -> None:
    client.force_login(cast.vera)
    text = client.get(f"/runs/{compared.pk}/report").text
    assert "The transfer helped" in text
    assert "50% of the steps" in text
    for part in ("6.100", "5.012", "5.556", "upon a time", "a dark night", "garbage"):
        assert part in text
    assert "found exactly equal" in text
    assert "Layer 3" in text


def test_the_twins_report_is_the_transfers(client: Client, cast: Cast, compared: Run) -> None:
    client.force_login(cast.alice)
    assert "The transfer" in client.get(f"/runs/{compared.twin.pk}/report").text


def test_a_report_that_is_not_there_says_so(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    assert "Not yet" in client.get(f"/runs/{make_run(cast).pk}/report").text
    failed = make_run(cast, state=State.FAILED)
    assert "There is no report" in client.get(f"/runs/{failed.pk}/report").text


@pytest.mark.parametrize(
    ("transfer", "twin", "kind", "words"),
    [
        ([(0, 6.0), (10, 5.0)], [(0, 8.0), (10, 5.5)], "helped", "at step 10"),
        ([(0, 5.4), (10, 5.0)], [(0, 8.0), (10, 5.5)], "helped", "before its first step"),
        ([(0, 7.0), (10, 6.0)], [(0, 8.0), (10, 5.5)], "hurt", "The transfer hurt"),
        ([(0, 7.0), (10, 5.51)], [(0, 8.0), (10, 5.5)], "same", "no difference"),
        ([(0, 7.0), (5, 5.5), (10, 5.5)], [(0, 8.0), (10, 5.5)], "helped", "50% of the steps"),
        ([(0, 7.0), (10, 5.49)], [(0, 8.0), (10, 5.5)], "same", "no difference"),
    ],
)
def test_the_sentence_says_what_the_curves_say(
    transfer: list[tuple[int, float]], twin: list[tuple[int, float]], kind: str, words: str
) -> None:
    found = verdict(transfer_gain(transfer, twin))
    assert found is not None
    assert found.kind == kind
    assert words in found.sentence


def test_a_curve_without_points_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="without points"):
        transfer_gain([], [(0, 1.0)])
