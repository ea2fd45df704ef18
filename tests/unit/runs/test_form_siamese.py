"""The forms of runs on two views, and the pages of what they learn."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.datasets import make_images, make_labelled
from tests.factories.heads import make_report, make_scores
from tests.factories.runs import make_curve, make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.resnet.config import PRESETS as RESNETS
from training.backbones.vit.config import ViTConfig
from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import State
from webapp.runs import services
from webapp.runs.drafts import draft
from webapp.runs.form_siamese import BYOLForm, MoCoForm, SiameseForm, SimCLRForm, SimSiamForm
from webapp.runs.models import Run

NANO = RESNETS["nano"]
FORMS = (SimCLRForm, BYOLForm, SimSiamForm, MoCoForm)


@pytest.fixture
def images(cast: Cast, tmp_path: Path) -> Any:
    return make_images(cast, folder=tmp_path)


@pytest.fixture
def unlabelled(cast: Cast, tmp_path: Path) -> Any:
    folder = tmp_path / "plain"
    folder.mkdir()
    return make_images(cast, folder=folder, name="Plain", summary={"labels": None})


def network(cast: Cast, config: Any = NANO) -> Any:
    return make_source(cast, name="Eyes", config=config, architecture=config.architecture, card={})


def form_of(kind: type[SiameseForm], cast: Cast, **values: Any) -> SiameseForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    # The images of these tests are 80.
    return kind({"training.batch_size": "64"} | typed, cast.team, submitted=True)


def started(cast: Cast, version: Any, kind: type[SiameseForm] = SimCLRForm, **values: Any) -> Run:
    spec = form_of(kind, cast, data=str(version.pk), **values).validate()
    return services.run_create(name="Views", spec=spec, owner=cast.alice, team=cast.team, twin=True)


@pytest.mark.parametrize("kind", FORMS)
def test_a_blank_form_with_images_is_complete(
    kind: type[SiameseForm], cast: Cast, images: Any
) -> None:
    form = form_of(kind, cast, data=str(images.pk))
    spec = form.validate()
    assert spec is not None, form.errors
    assert spec.method == kind.method
    assert spec.source is None
    assert form.config.num_classes == 0
    assert draft(form).outlook.estimate.parameters > form.config.parameter_count()


@pytest.mark.parametrize("kind", FORMS)
def test_a_spec_survives_the_way_through_form_and_browser(
    kind: type[SiameseForm], cast: Cast, images: Any
) -> None:
    source = network(cast)
    first = form_of(
        kind,
        cast,
        how="transfer",
        data=str(images.pk),
        source=f"checkpoint/{source.pk}",
        views__flip=False,
        views__image_px="32",
        training__batch_size="32",
        evaluation__neighbours="5",
    )
    spec = first.validate()
    assert spec is not None, first.errors
    form = kind.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    again = kind.from_post(posted(form), cast.team)
    assert again.validate() == spec


def test_images_are_offered_with_labels_and_without_and_nothing_else(
    cast: Cast, images: Any, unlabelled: Any
) -> None:
    texts = make_labelled(cast, name="Letters")
    assert set(form_of(SimCLRForm, cast).offered) == {images, unlabelled}
    assert form_of(SimCLRForm, cast, data=str(texts.pk)).version is None


@pytest.mark.parametrize(
    ("kind", "values", "name"),
    [
        (SimCLRForm, {"objective__temperature": "0"}, "objective.temperature"),
        (SimCLRForm, {"views__least_area": "2"}, "views.least_area"),
        (SimCLRForm, {"training__batch_size": "63", "devices__count": "2"}, "training.batch_size"),
        (SimCLRForm, {"training__batch_size": "1"}, "training.batch_size"),
        (SimCLRForm, {"training__batch_size": "81"}, "training.batch_size"),
        (BYOLForm, {"objective__momentum": "1"}, "objective.momentum"),
        (MoCoForm, {"objective__queue": "1000"}, "objective.queue"),
        (MoCoForm, {"objective__norm_parts": "3"}, "objective.norm_parts"),
        (SimSiamForm, {"objective__bottleneck": "many"}, "objective.bottleneck"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    kind: type[SiameseForm], values: dict[str, str], name: str, cast: Cast, images: Any
) -> None:
    form = form_of(kind, cast, data=str(images.pk), **values)
    assert form.validate() is None
    assert list(form.errors) == [name]


def test_a_vision_transformer_sees_images_of_its_own_size_only(cast: Cast, images: Any) -> None:
    config = ViTConfig(image_size=32, patch_size=8, width=16, depth=1, heads=2, inner=32)
    form = form_of(
        BYOLForm,
        cast,
        how="transfer",
        data=str(images.pk),
        source=f"checkpoint/{network(cast, config).pk}",
        views__image_px="48",
    )
    assert form.validate() is None
    assert "32" in form.errors["views.image_px"][0]


def test_run_and_twin_name_what_they_need(alice: Client, cast: Cast, images: Any) -> None:
    source = network(cast)
    run = started(cast, images, how="transfer", source=f"checkpoint/{source.pk}")
    twin = run.twin.job.spec
    assert twin["source"] is None
    assert twin["model"]["architecture"] == "resnet"
    assert twin["views"]["checkpoint"] == f"store:checkpoint/{source.pk}"
    assert twin["objective"] == run.job.spec["objective"]
    # What it is shown like is told in words, and is no setting of a person's.
    assert 'title="views.checkpoint"' not in alice.get(f"/runs/{run.twin.pk}").text
    again = SimCLRForm.from_spec(twin, cast.team)
    assert again.errors == {}
    assert again.validate().model_dump(mode="json") == twin


def test_without_labels_a_twin_would_say_nothing(cast: Cast, unlabelled: Any) -> None:
    key = f"checkpoint/{network(cast).pk}"
    form = form_of(SimCLRForm, cast, how="transfer", data=str(unlabelled.pk), source=key)
    assert form.validate() is None
    assert "Without labels" in form.errors["twin"][0]
    form = form_of(
        SimCLRForm, cast, how="transfer", data=str(unlabelled.pk), source=key, twin=False
    )
    assert form.validate() is not None, form.errors


def test_transfer_and_twin_are_compared_by_nearest_neighbours(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images, how="transfer", source=f"checkpoint/{network(cast).pk}")
    for one, values in ((run, {0: 0.80, 50: 0.91, 100: 0.95}), (run.twin, {0: 0.6, 100: 0.9})):
        make_curve(one, values, "validation_knn")
        # By the loss alone it would have hurt.
        make_curve(one, {0: 5.0, 100: 4.0 if one == run else 1.0}, "validation_views_loss")
        set_state(one, State.SUCCEEDED, report={"steps": 100, "tokens": 6400})
        services.comparison_update(one)
    run.refresh_from_db()
    assert run.comparison["verdict"] == "helped"
    assert run.comparison["reached_step"] == 50
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert "nearest neighbours told as many images right as at the scratch twin&#x27;s best" in page
    assert 'data-chart-target-metric="validation_knn"' in page


def test_the_plan_leaves_a_source_s_head_behind(cast: Cast, images: Any) -> None:
    with_head = NANO.model_copy(update={"num_classes": 2})
    form = form_of(
        SimCLRForm,
        cast,
        how="transfer",
        data=str(images.pk),
        source=f"checkpoint/{network(cast, with_head).pk}",
    )
    counts = draft(form).plan.plan.counts()
    assert counts["initialised"] == 0
    assert counts["left_behind"] == 2


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMS)
def test_the_form_is_a_page(
    kind: type[SiameseForm], alice: Client, unlabelled: Any, images: Any
) -> None:
    page = alice.get(f"{reverse('runs:new')}?method={kind.method}&data={unlabelled.pk}").text
    assert f'value="{unlabelled.pk}" selected' in page
    assert "no labels" in page
    assert "labels for watching" in page
    assert "How two views of an image differ" in page
    assert "Also train a scratch twin" in page


def test_small_images_are_seen_as_they_are_and_few_of_them_in_small_batches(
    cast: Cast, images: Any
) -> None:
    form = MoCoForm.of(cast.team)
    form.choose_data(images.pk)
    wanted = {"views.image_px": "20", "training.batch_size": "32", "objective.queue": "32"}
    assert {name: form.values[name] for name in wanted} == wanted
    assert form.validate() is not None, form.errors


def test_data_chosen_on_the_form_bring_size_batch_and_queue_and_large_ones_the_defaults(
    alice: Client, cast: Cast, images: Any
) -> None:
    page = alice.get(reverse("runs:new"), {"method": "moco"}).text
    filled = {"views.image_px": "20", "training.batch_size": "32", "objective.queue": "32"}
    assert f'<option value="{images.pk}" data-fills="{html.escape(json.dumps(filled))}"' in page
    many = images.summary | {"side_px": 300, "splits": {"train": {"images": 90_000}}}
    DatasetVersion.objects.filter(pk=images.pk).update(summary=many)
    images.refresh_from_db()
    assert MoCoForm.data_values(images) == {
        name: MoCoForm.layout().default(name) for name in filled
    }


def test_the_page_of_a_run_shows_what_the_newest_look_found(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images)
    make_curve(run, {0: 0.71, 50: 0.93}, "validation_knn")
    make_curve(run, {0: 0.02, 50: 0.88}, "validation_spread")
    page = alice.get(reverse("runs:detail", args=[run.pk])).text
    assert "<dt>Nearest neighbours</dt><dd>0.930</dd>" in page
    assert "<dt>Spread</dt><dd>0.880</dd>" in page
    assert "<dt>Linear probe</dt><dd>–</dd>" in page
    assert "Best validation loss" not in page
    assert 'value="validation_knn,validation_probe"' in page
    assert "validation_accuracy" not in page


def test_a_collapse_is_told_while_the_newest_look_says_so(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images, BYOLForm)
    make_curve(run, {0: 0.79, 50: 0.65}, "validation_knn")
    make_curve(run, {0: 0.09, 50: 0.013}, "validation_spread")
    make_curve(run, {0: 12.9, 50: 1.84}, "validation_dimensions")
    make_curve(run, {0: 0.0, 50: 1.0}, "validation_collapse")
    url = reverse("runs:live", args=[run.pk])
    told = alice.get(url).text
    assert "The features have collapsed." in told
    assert "At step 50" in told
    assert "0.013 (1 is the most), and they vary in 1.8 dimensions" in told
    assert "0.650 of the images right, before the first step 0.790" in told
    make_curve(run, {100: 0.0}, "validation_collapse")
    assert "The features have collapsed." not in alice.get(url).text


def test_without_labels_a_collapse_is_told_by_its_spread_alone(
    alice: Client, cast: Cast, unlabelled: Any
) -> None:
    run = started(cast, unlabelled, BYOLForm)
    make_curve(run, {50: 0.013}, "validation_spread")
    make_curve(run, {50: 1.0}, "validation_collapse")
    told = alice.get(reverse("runs:live", args=[run.pk])).text
    assert "The features have collapsed." in told
    assert "of the images right" not in told


def test_the_report_puts_a_probe_beside_a_random_network(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images)
    scores = {
        "model": make_scores(0.9),
        "random": make_scores(0.8),
        "source": make_scores(0.85),
        "pixels": make_scores(0.7),
    }
    after = {"loss": 3.2, "knn": 0.88, "probe": 0.9, "spread": 0.95, "examples": 8}
    before = after | {"knn": 0.8, "spread": 0.09}
    report = make_report(
        scores=scores,
        before={"validation": before, "test": None},
        after={"validation": after, "test": None},
        predictions=[],
        counts="examples",
        steps=20,
        tokens=640,
    )
    set_state(run, State.SUCCEEDED, report=report)
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert "the same network with random weights" in page
    assert "the source that it began from" in page
    assert "nearest neighbours, accuracy" in page
    assert "Training sees no label." in page
    assert "perplexity" not in page
    assert "Trained from scratch; its checkpoint can now be the source" in page


def test_runs_of_several_methods_share_a_chart(alice: Client, cast: Cast, images: Any) -> None:
    runs = [started(cast, images, kind) for kind in (SimCLRForm, MoCoForm)]
    ids = ",".join(str(run.pk) for run in runs)
    page = alice.get(f"{reverse('runs:compare')}?ids={ids}").text
    for name in ("validation_probe", "validation_knn", "validation_spread", "loss"):
        assert f'<option value="{name}">' in page
    assert page.count('<option value="loss">') == 1


def test_a_set_of_images_leads_to_learning_without_labels(
    alice: Client, images: Any, unlabelled: Any
) -> None:
    for version in (images, unlabelled):
        page = alice.get(reverse("datasets:version", args=[version.pk])).text
        link = f"{reverse('runs:new')}?method=simclr&amp;data={version.pk}"
        assert link in page
