"""The forms of runs that make images, and the pages of what they make."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import Cast
from tests.factories.datasets import make_images, make_labelled
from tests.factories.runs import make_curve, make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.conditional_gan.config import PRESETS as GANS
from training.backbones.conditional_vae.config import PRESETS as VAES
from training.backbones.resnet.config import PRESETS as RESNETS
from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import JobEvent, State
from webapp.runs import services
from webapp.runs.drafts import draft
from webapp.runs.form_generative import CGANForm, CVAEForm, GenerativeForm
from webapp.runs.models import Run
from webapp.runs.pages import score_rows
from webapp.runs.sources import run_config

FORMS = (CVAEForm, CGANForm)
NANO = {"cvae": VAES["nano"], "cgan": GANS["nano"]}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@pytest.fixture
def images(cast: Cast, tmp_path: Path) -> Any:
    return make_images(cast, folder=tmp_path)


def generator(cast: Cast, method: str, classes: list[str], **fields: Any) -> Any:
    config = NANO[method].model_copy(update={"num_classes": len(classes)})
    return make_source(
        cast,
        name="Maker",
        config=config,
        architecture=config.architecture,
        card={"classes": classes},
        **fields,
    )


def classifier(cast: Cast, classes: list[str]) -> Any:
    config = RESNETS["nano"].model_copy(update={"num_classes": len(classes)})
    card = {"classes": classes}
    return make_source(cast, name="Eyes", config=config, architecture="resnet", card=card)


def form_of(kind: type[GenerativeForm], cast: Cast, **values: Any) -> GenerativeForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    return kind(typed, cast.team, submitted=True)


def started(cast: Cast, version: Any, kind: type[GenerativeForm] = CGANForm, **values: Any) -> Run:
    spec = form_of(kind, cast, data=str(version.pk), **values).validate()
    return services.run_create(
        name="Making", spec=spec, owner=cast.alice, team=cast.team, twin=True
    )


def shown(run: Run, seq: int, step: int, name: str, kind: str = "samples") -> None:
    data = {
        "step": step,
        "prompt": name,
        "text": "",
        "set": kind,
        "type": "image/png",
        "image": base64.b64encode(PNG).decode(),
    }
    JobEvent.objects.create(
        job=run.job, seq=seq, at=timezone.now(), kind="sample", step=step, data=data
    )


# --- the form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMS)
def test_a_blank_form_with_images_of_classes_is_complete(
    kind: type[GenerativeForm], cast: Cast, images: Any
) -> None:
    form = form_of(kind, cast, data=str(images.pk))
    spec = form.validate()
    assert spec is not None, form.errors
    assert spec.method == kind.method
    assert spec.model.num_classes == 2
    assert form.config.num_classes == 2
    estimate = draft(form).outlook.estimate
    assert estimate.parameters == form.config.parameter_count()
    assert estimate.tokens == 2000 * 64


@pytest.mark.parametrize("kind", FORMS)
def test_a_spec_survives_the_way_through_form_and_browser(
    kind: type[GenerativeForm], cast: Cast, images: Any
) -> None:
    judge = classifier(cast, ["dog", "cat", "bird"])
    first = form_of(
        kind,
        cast,
        data=str(images.pk),
        model__image_px="32",
        model__in_channels="3",
        evaluation__samples="5",
        judge__checkpoint=f"store:checkpoint/{judge.pk}",
    )
    spec = first.validate()
    assert spec is not None, first.errors
    assert spec.judge.checkpoint == f"store:checkpoint/{judge.pk}"
    form = kind.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert kind.from_post(posted(form), cast.team).validate() == spec


def test_only_images_with_labels_are_offered(cast: Cast, images: Any, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    make_images(cast, folder=folder, name="Plain", summary={"labels": None})
    make_labelled(cast, name="Letters")
    assert set(form_of(CVAEForm, cast).offered) == {images}


def test_images_are_made_at_about_their_size_and_in_their_colours(cast: Cast, images: Any) -> None:
    form = CGANForm.of(cast.team)
    form.choose_data(images.pk)
    # They are 24 × 20, of which 28 is the nearest that is made.
    assert form.values["model.image_px"] == "28"
    assert form.values["model.in_channels"] == "3"
    DatasetVersion.objects.filter(pk=images.pk).update(summary=images.summary | {"modes": {"L": 6}})
    form = CGANForm.of(cast.team)
    form.choose_data(images.pk)
    assert form.values["model.in_channels"] == "1"
    assert form.validate() is not None, form.errors


def test_data_that_are_chosen_on_the_form_bring_their_colours(
    alice: Client, cast: Cast, images: Any
) -> None:
    page = alice.get(reverse("runs:new"), {"method": "cgan"}).text
    filled = {"evaluation.samples": "8", "model.image_px": "28", "model.in_channels": "3"}
    assert f'<option value="{images.pk}" data-fills="{html.escape(json.dumps(filled))}"' in page


@pytest.mark.parametrize(
    ("kind", "values", "name"),
    [
        (CVAEForm, {"model__image_px": "128"}, "model.image_px"),
        (CVAEForm, {"model__image_px": "30"}, "model.image_px"),
        (CGANForm, {"model__in_channels": "2"}, "model.in_channels"),
        (CGANForm, {"objective__average": "1"}, "objective.average"),
        (CVAEForm, {"objective__kl_weight": "-1"}, "objective.kl_weight"),
        (CVAEForm, {"evaluation__sample_every": "1"}, "evaluation.sample_every"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    kind: type[GenerativeForm], values: dict[str, str], name: str, cast: Cast, images: Any
) -> None:
    form = form_of(kind, cast, data=str(images.pk), **values)
    assert form.validate() is None
    assert list(form.errors) == [name]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([{"name": "cat", "train": 9}], "There is only one class."),
        ([{"name": "cat", "train": 9}, {"name": "dog", "train": 1}], "“dog” there are only 1"),
        ([{"name": f"c{n}", "train": 9} for n in range(101)], "There are 101 classes, and 100"),
    ],
)
def test_data_that_it_cannot_learn_from_is_refused_in_words(
    classes: list[dict[str, Any]], said: str, cast: Cast, images: Any
) -> None:
    labels = images.summary["labels"] | {"classes": classes}
    summary = images.summary | {"labels": labels}
    DatasetVersion.objects.filter(pk=images.pk).update(summary=summary)
    form = form_of(CGANForm, cast, data=str(images.pk))
    assert form.validate() is None
    assert said in form.errors["data"][0]


def test_a_judge_must_know_the_classes(cast: Cast, images: Any) -> None:
    judge = classifier(cast, ["cat", "bird"])
    form = form_of(
        CVAEForm, cast, data=str(images.pk), judge__checkpoint=f"store:checkpoint/{judge.pk}"
    )
    assert [name for _key, name in form.judges] == ["Eyes"]
    assert form.validate() is None
    assert "“dog”" in form.errors["judge"][0]


# --- from a source --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMS)
def test_new_classes_get_rows_behind_the_source_s(
    kind: type[GenerativeForm], cast: Cast, images: Any
) -> None:
    source = generator(cast, kind.method, ["bird", "dog"])
    form = form_of(
        kind, cast, how="transfer", data=str(images.pk), source=f"checkpoint/{source.pk}"
    )
    spec = form.validate()
    assert spec is not None, form.errors
    assert spec.model is None
    assert form.config.num_classes == 3  # bird, dog, cat
    plan = draft(form).plan.plan
    assert plan.counts()["left_behind"] == 0
    assert plan.counts()["initialised"] == 0


def test_run_and_twin_have_the_same_model(cast: Cast, images: Any) -> None:
    source, judge = generator(cast, "cgan", ["bird", "dog"]), classifier(cast, ["cat", "dog"])
    run = started(
        cast,
        images,
        how="transfer",
        source=f"checkpoint/{source.pk}",
        judge__checkpoint=f"store:checkpoint/{judge.pk}",
    )
    twin = run.twin
    assert twin.job.spec["source"] is None
    assert twin.job.spec["model"]["latent"] == NANO["cgan"].latent
    assert twin.job.spec["judge"] == run.job.spec["judge"]
    assert run_config(run).num_classes == 3
    assert run_config(twin).num_classes == 2
    again = CGANForm.from_spec(twin.job.spec, cast.team)
    assert again.errors == {}
    assert again.validate() is not None, again.errors


def test_transfer_and_twin_are_compared_by_the_distance(
    alice: Client, cast: Cast, images: Any
) -> None:
    source = generator(cast, "cgan", ["cat", "dog"])
    run = started(cast, images, how="transfer", source=f"checkpoint/{source.pk}")
    for one, values in ((run, {0: 90, 50: 30.0, 100: 12.0}), (run.twin, {0: 200, 100: 31.0})):
        make_curve(one, values, "validation_frechet")
        set_state(one, State.SUCCEEDED, report={"steps": 100, "tokens": 6400})
        services.comparison_update(one)
    run.refresh_from_db()
    assert run.comparison["verdict"] == "helped"
    assert run.comparison["reached_step"] == 50
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert "the images that it made lay as near to real ones as at the" in page


def test_the_checkpoint_s_page_shows_what_it_is_worth(alice: Client, cast: Cast) -> None:
    scores = {"test_class_accuracy": 0.93, "test_frechet": 4.2, "validation_class_accuracy": 0.91}
    source = generator(cast, "cgan", ["cat", "dog"], scores=scores)
    page = alice.get(reverse("checkpoints:detail", args=[source.pk])).text
    assert "Conditional GAN" in page
    assert "Distance from real ones, test" in page
    assert "discriminator.class.weight" in page
    assert reverse("checkpoints:copy", args=[source.pk]) not in page
    assert "0.910" in alice.get(reverse("checkpoints:list")).text


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMS)
def test_the_form_is_a_page(
    kind: type[GenerativeForm], alice: Client, cast: Cast, images: Any
) -> None:
    classifier(cast, ["cat", "dog"])
    page = alice.get(f"{reverse('runs:new')}?method={kind.method}&data={images.pk}").text
    assert f'value="{images.pk}" selected' in page
    assert "Who judges what it makes" in page
    assert "Eyes</option>" in page
    assert page.count('name="judge.checkpoint"') == 1
    assert "Also train a scratch twin" in page


def test_a_set_of_images_leads_to_making_some(alice: Client, images: Any) -> None:
    page = alice.get(reverse("datasets:version", args=[images.pk])).text
    assert f"{reverse('runs:new')}?method=cvae&amp;data={images.pk}" in page


def test_a_run_shows_a_row_of_images_a_class_newest_step_first(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images)
    for seq, (step, name) in enumerate(
        [(0, "cat"), (0, "dog"), (100, "cat"), (100, "dog")], start=1
    ):
        shown(run, seq, step, name)
    shown(run, 9, 100, "cat", "made")  # the report's
    page = alice.get(reverse("runs:detail", args=[run.pk])).text
    assert "What it makes" in page
    rows = [page.index(f"/pictures/{seq}") for seq in (3, 4, 1, 2)]
    assert rows == sorted(rows)
    assert "/pictures/9" not in page
    assert 'alt="Images of dog, made at step 100"' in page
    live = alice.get(reverse("runs:live", args=[run.pk]) + "?seq=3").text
    assert "/pictures/4" in live
    assert "/pictures/3" not in live


def test_a_picture_is_served_to_the_team_alone(alice: Client, cast: Cast, images: Any) -> None:
    run = started(cast, images)
    shown(run, 1, 0, "cat")
    url = reverse("runs:picture", args=[run.pk, 1])
    found = alice.get(url)
    assert found.content == PNG
    assert found["Content-Type"] == "image/png"
    assert "max-age" in found["Cache-Control"]
    assert alice.get(reverse("runs:picture", args=[run.pk, 2])).status_code == 404
    stranger = Client()
    stranger.force_login(cast.mallory)
    assert stranger.get(url).status_code == 404
    JobEvent.objects.filter(job=run.job).update(data={"type": "text/html", "image": "PGI+"})
    assert alice.get(url).status_code == 404


def report_of(**changes: Any) -> dict[str, Any]:
    sides = {
        "model": {"class_accuracy": 0.93, "frechet": 4.2},
        "real": {"class_accuracy": 0.95, "frechet": 1.7},
        "means": {"class_accuracy": 1.0, "frechet": 103.0},
        "noise": {"class_accuracy": 0.1, "frechet": 246.0},
    }
    generated: dict[str, Any] = {
        "sides": sides,
        "beaten_by": [],
        "images": 1000,
        "width": 64,
        "rough": False,
        "judge": {"kind": "trained", "accuracy": 0.95, "examples": 1000},
        "split": "test",
        "classes": [{"name": "cat", "accuracy": 0.9}, {"name": "dog", "accuracy": 0.96}],
        "copying": {"made": 0.1, "real": 0.12, "copies": False, "images": 200, "known": 3500},
    }
    scores = {"class_accuracy": 0.93, "frechet": 4.2}
    return {
        "steps": 100,
        "tokens": 6400,
        "before": {"validation": scores, "test": scores},
        "after": {"validation": scores, "test": scores},
        "generated": generated | changes,
    }


def test_the_report_puts_it_beside_real_images_and_noise(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images)
    set_state(run, State.SUCCEEDED, report=report_of())
    for seq, kind in enumerate(("made", "between", "nearest", "made"), start=1):
        shown(run, seq, 100, "cat", kind)
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert "93% of what it makes is of the class that was meant" in page
    assert "It lies 4.2 from real ones: those lie 1.7 from each other" in page
    for title in ("real ones: the best that can be", "the mean of each class", "noise"):
        assert title in page
    assert "at least as good" not in page
    assert "Does it copy?" in page
    # A run that was taken up again told its pictures twice: the newest counts.
    assert "/pictures/4" in page
    assert "/pictures/1" not in page


def test_a_divergence_that_rises_is_no_worse(cast: Cast, images: Any) -> None:
    """Near 0 it says that the latents are ignored; and of a GAN's losses neither way is better."""
    run = started(cast, images)
    for method, keys in (
        ("cvae", {"frechet": True, "divergence": None}),
        ("cgan", {"generator_loss": None, "discriminator_loss": None}),
    ):
        Run.objects.filter(pk=run.pk).update(method=method)
        run.refresh_from_db()
        scores = {
            "before": {"test": dict.fromkeys(keys, 9)},
            "after": {"test": dict.fromkeys(keys, 2)},
        }
        set_state(run, State.SUCCEEDED, report=report_of() | scores)
        assert [row.better for row in score_rows(run)] == list(keys.values())


def test_of_a_judge_that_was_chosen_nothing_is_said_that_nobody_knows(
    alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images)
    judge = {"kind": "checkpoint", "accuracy": 0.97, "examples": 50}
    set_state(run, State.SUCCEEDED, report=report_of(judge=judge))
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert "whether it learned from these very examples is not looked at" in page
    assert "that it never saw. The" not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"beaten_by": ["means"]}, "It is not yet worth anything"),
        ({"beaten_by": ["means", "noise"]}, "It has learned nothing yet"),
        ({"rough": True, "images": 12}, "Only 12 real ones were there"),
        (
            {"judge": {"kind": "trained", "accuracy": 0.6, "examples": 50}},
            "The judge tells only 60% of real ones right",
        ),
        (
            {"copying": {"made": 0.01, "real": 0.2, "copies": True, "images": 9, "known": 40}},
            "it has learned some of them by heart",
        ),
    ],
)
def test_what_is_not_good_is_told_plainly(
    changes: dict[str, Any], said: str, alice: Client, cast: Cast, images: Any
) -> None:
    run = started(cast, images)
    set_state(run, State.SUCCEEDED, report=report_of(**changes))
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert said in page
