"""A head's page, in every state, and the list."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_images, make_labelled, make_numbered
from tests.factories.heads import make_head, make_number_report, make_report, make_scores
from webapp import classifiers
from webapp.heads import figures
from webapp.heads.models import Head
from webapp.jobs.models import State


def _get(client: Client, head: Head, **headers: str) -> str:
    return client.get(f"/heads/{head.pk}", headers=headers).content.decode()


def test_a_fitted_head_shows_its_report(alice: Client, cast: Cast) -> None:
    page = _get(alice, make_head(cast))
    for text in (
        "75.0%",
        "70.0% – 80.0%",
        "words alone (TF-IDF)",
        "15.0 points more than the next best",
        "computed in 140 s",
        "good &lt;b&gt;",
        "Text &lt;i&gt;0&lt;/i&gt;",
        "Show the others",
        "recognised",
        "100 examples it never saw",
    ):
        assert text in page
    assert "hx-trigger" not in page
    assert 'class="number right-7"' in page
    assert 'class="number wrong-3"' in page


def test_a_head_that_predicts_a_number_says_how_far_off_it_is(alice: Client, cast: Cast) -> None:
    version = make_numbered(cast)
    head = make_head(cast, version=version, report=make_number_report())
    page = _get(alice, head)
    for told in (
        "How well it predicts rating",
        "the same network with random weights",
        "It is off by 0.8 (root mean square), less than the next best",
        "linear probe: ridge regression",
        "0.912",
        "true 3.5, predicted 2",
        "So &lt;dull&gt;",
    ):
        assert told in page
    for of_classes in ("Accuracy", "Calibration", "What is taken for what"):
        assert of_classes not in page
    assert ">0.8</td>" in alice.get("/heads/").content.decode()
    assert (
        "off by 0.8" in alice.get(reverse("datasets:version", args=[version.pk])).content.decode()
    )
    warned = make_number_report(beaten_by=["tfidf"])
    assert "panel-warning" in _get(alice, make_head(cast, name="Worse", report=warned))


@pytest.mark.parametrize(
    ("mine", "other", "sentence", "warns"),
    [
        (0.75, 0.60, "points more than the next best", False),
        (0.75, 0.72, "So few examples do not make that difference certain", False),
        (0.75, 0.75, "It adds nothing here", True),
        (0.60, 0.80, "It adds nothing here", True),
    ],
)
def test_the_verdict_is_plain(
    alice: Client, cast: Cast, mine: float, other: float, sentence: str, warns: bool
) -> None:
    scores = {"model": make_scores(mine), "tfidf": make_scores(other)}
    beaten_by = ["tfidf"] if other >= mine else []
    page = _get(alice, make_head(cast, report=make_report(scores=scores, beaten_by=beaten_by)))
    assert sentence in page
    assert ("panel-warning" in page) is warns
    assert ("at least as good" in page) is warns


def test_a_head_at_work_polls_and_can_be_cancelled(alice: Client, cast: Cast) -> None:
    live = {"detail": "train, random weights"}
    job = {"state": State.RUNNING, "phase": "features", "fraction": 0.42, "live": live}
    head = make_head(cast, job=job)
    page = _get(alice, head)
    assert "Computing features" in page
    assert "training split, the same network with random weights" in page
    assert 'value="42"' in page
    assert 'hx-trigger="every 2s"' in page
    fragment = _get(alice, head, **{"HX-Request": "true"})
    assert "<html" not in fragment
    assert 'hx-trigger="every 2s"' in fragment
    alice.post(f"/heads/{head.pk}/cancel")
    head.job.refresh_from_db()
    assert head.job.requested == "cancel"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("model", 'Fitting and scoring <span class="soft">this checkpoint'),
        ("random", "the same network with random weights"),
        ("baselines", "what it must beat"),
    ],
)
def test_while_it_fits_it_says_what(alice: Client, cast: Cast, told: str, shown: str) -> None:
    job = {"state": State.RUNNING, "phase": "evaluating", "live": {"detail": told}}
    assert shown in _get(alice, make_head(cast, job=job))


def test_a_failed_head_says_why_and_offers_another_try(alice: Client, cast: Cast) -> None:
    job = {"state": State.FAILED, "error_code": "dataset_without_labels"}
    head = make_head(cast, job=job)
    page = _get(alice, head)
    assert "This data set has no labels" in page
    assert "trying again goes on from there" in page
    alice.post(f"/heads/{head.pk}/retry")
    head.job.refresh_from_db()
    assert head.job.state == State.QUEUED


def test_who_may_only_look_sees_no_buttons(client: Client, cast: Cast) -> None:
    head = make_head(cast, job={"state": State.FAILED})
    client.force_login(cast.vera)
    page = _get(client, head)
    assert "Try again" not in page
    assert client.post(f"/heads/{head.pk}/retry").status_code == 403


def test_another_team_s_head_is_not_there(client: Client, cast: Cast) -> None:
    head = make_head(cast)
    client.force_login(cast.mallory)
    for path in ("", "/download"):
        assert client.get(f"/heads/{head.pk}{path}").status_code == 404
    assert client.post(f"/heads/{head.pk}/cancel").status_code == 404
    assert head.name not in client.get("/heads/").content.decode()


def test_many_classes_make_no_table_of_confusions() -> None:
    names = [f"c{n}" for n in range(21)]
    assert classifiers.confusion({"classes": names, "scores": {}}) == []


@pytest.mark.parametrize(
    ("computed", "saved", "sentence"),
    [
        (70.0, 0.0, "computed in 70 s"),
        (0.0, 70.0, "found from before: 70 s saved"),
        (40.0, 30.0, "computed in 40 s; the rest was there and saved 30 s"),
    ],
)
def test_what_the_features_cost_is_said(computed: float, saved: float, sentence: str) -> None:
    report: dict[str, Any] = {"features": {"computed_s": computed, "saved_s": saved}}
    assert figures.features(report) == sentence


def test_the_list_shows_heads_with_their_scores(alice: Client, cast: Cast) -> None:
    make_head(cast, name="First")
    make_head(cast, name="Second", version=make_labelled(cast, name="B"), job={"state": "queued"})
    page = alice.get("/heads/").content.decode()
    assert "75.0%" in page
    assert page.index("Second") < page.index("First")


def test_the_list_takes_the_same_queries_however_long(
    alice: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    version = make_labelled(cast)
    checkpoint = make_checkpoint(cast)
    make_head(cast, version=version, checkpoint=checkpoint)
    alice.get("/heads/")
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as one:
        alice.get("/heads/")
    for _ in range(5):
        make_head(cast, version=version, checkpoint=checkpoint)
    with django_assert_num_queries(len(one)):
        alice.get("/heads/")


def test_an_empty_list_says_what_to_do_first(alice: Client) -> None:
    page = alice.get("/heads/").content.decode()
    assert "No heads yet" in page
    assert "/heads/new" in page


def test_checkpoint_and_data_lead_to_their_heads(alice: Client, cast: Cast) -> None:
    head = make_head(cast)
    page = alice.get(f"/checkpoints/{head.checkpoint_id}").content.decode()
    assert "Heads on its features" in page
    assert f"/heads/{head.pk}" in page
    assert f"/heads/new?checkpoint={head.checkpoint_id}" in page
    page = alice.get(f"/data/versions/{head.dataset_version_id}").content.decode()
    assert f"/heads/{head.pk}" in page
    assert f"/heads/new?data={head.dataset_version_id}" in page


def test_wrongly_seen_images_are_shown(alice: Client, cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path)
    predictions = [
        {**row, "label": "cat", "predicted": "dog", "probability": 0.9, "loss": 2.0}
        for row in version.preview["images"]
    ]
    scores = make_report()["scores"]
    scores["pixels"] = scores.pop("tfidf")
    head = make_head(
        cast,
        version=version,
        spec={"image_px": 96},
        report=make_report(predictions=predictions, scores=scores),
    )
    page = alice.get(f"/heads/{head.pk}").content.decode()
    assert page.count("<figure>") == 6
    assert f"/data/versions/{version.pk}/images/train/0-" in page
    assert "raw pixels" in page
    assert "Image size (pixels)" in page
    assert "Longest text" not in page
