"""The form of a run that predicts a number, its report, and what its checkpoint leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import NUMBERS, make_images, make_labelled, make_numbered
from tests.factories.heads import number_report
from tests.factories.runs import make_curve, make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.bert.config import PRESETS as BERT
from training.backbones.resnet.config import PRESETS as RESNETS
from training.fine_tuning.settings import with_classes
from training.methods.task_related.regression_spec import RegressionSpec
from webapp import regressions
from webapp.checkpoints.selectors import settings_of
from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import State
from webapp.runs import services
from webapp.runs.form_regression import RegressionForm
from webapp.runs.models import Run
from webapp.runs.sources import of_run

NANO = BERT["nano"]


@pytest.fixture
def ratings(cast: Cast) -> Any:
    return make_numbered(cast)


def network(cast: Cast, config: Any = NANO, **fields: Any) -> Any:
    values = {"name": "Reader", "config": config, "architecture": config.architecture, "card": {}}
    return make_source(cast, **values | fields)


def form_of(cast: Cast, version: Any, source: Any = None, **values: Any) -> RegressionForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    begun = {"how": "transfer", "source": f"checkpoint/{source.pk}"} if source else {}
    return RegressionForm(begun | {"data": str(version.pk)} | typed, cast.team, submitted=True)


def test_a_network_of_texts_gets_a_head_with_one_output(cast: Cast, ratings: Any) -> None:
    form = form_of(cast, ratings, network(cast), training__loss="huber")
    spec = form.validate()
    assert spec is not None, form.errors
    assert isinstance(spec, RegressionSpec)
    assert spec.training.loss == "huber"
    assert form.config.labels == ["rating"]
    assert form.afresh == ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize(("name", "keeps"), [("rating", True), ("age", False)])
def test_a_head_is_kept_for_the_very_same_number(
    name: str, keeps: bool, cast: Cast, ratings: Any
) -> None:
    form = form_of(cast, ratings, network(cast, with_classes(NANO, [name])))
    assert form.validate() is not None, form.errors
    assert form.keeps_head is keeps
    assert bool(form.afresh) is not keeps


def test_of_images_the_card_says_which_number_the_head_predicts(cast: Cast, tmp_path: Path) -> None:
    images = make_images(cast, folder=tmp_path)
    DatasetVersion.objects.filter(pk=images.pk).update(
        summary=images.summary | {"labels": NUMBERS | {"field": "angle"}}
    )
    eyes = with_classes(RESNETS["nano"], ["angle"])
    known = network(cast, eyes, name="Eyes", card={"target": {"name": "angle"}})
    assert form_of(cast, images, known).keeps_head
    other = network(cast, eyes, name="Other eyes", card={})
    assert not form_of(cast, images, other).keeps_head


def test_data_with_classes_are_not_offered(cast: Cast) -> None:
    form = form_of(cast, make_labelled(cast), network(cast))
    assert form.validate() is None
    assert "no longer there" in " ".join(form.errors["data"])


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast, ratings: Any) -> None:
    source = network(cast)
    spec = RegressionSpec.model_validate(
        {
            "data": {"path": f"store:dataset/{ratings.pk}"},
            "source": {"checkpoint": f"store:checkpoint/{source.pk}"},
            "examples": 50,
            "training": {"loss": "huber", "policy": "gradual", "stages": 2},
        }
    )
    form = RegressionForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert RegressionForm.from_post(posted(form), cast.team).validate() == spec


def sent(client: Client, cast: Cast, form: RegressionForm) -> Run:
    client.force_login(cast.alice)
    answer = client.post(reverse("runs:new"), posted(form))
    assert answer.status_code == 302, answer.text
    return Run.objects.get(twin_of=None)


def test_sent_it_becomes_a_run_with_a_twin_and_a_source_on_its_way(
    client: Client, cast: Cast, ratings: Any
) -> None:
    run = sent(client, cast, form_of(cast, ratings, network(cast), name="Rater"))
    assert (run.method, run.twin.method) == ("regression", "regression")
    assert run.twin.job.spec["source"] is None
    promised = of_run(run)
    assert promised is not None
    assert promised.predicts_number
    page = client.get(f"{reverse('runs:new')}?source={run.pk}").text
    assert 'name="method" value="regression"' in page


def test_a_link_from_a_source_comes_to_the_form_that_takes_its_data(
    alice: Client, cast: Cast, ratings: Any
) -> None:
    plain, rater = network(cast), network(cast, with_classes(NANO, ["rating"]), name="Rater")
    new = reverse("runs:new")

    def method(query: str) -> str:
        return str(alice.get(f"{new}?{query}").context["form"].method)

    assert method(f"source={plain.pk}") == "classification"
    assert method(f"source={rater.pk}") == "regression"
    assert method(f"source={plain.pk}&data={ratings.pk}") == "regression"
    classes = make_labelled(cast)
    assert method(f"source={rater.pk}&data={classes.pk}") == "classification"


# --- the report -----------------------------------------------------------------------------------


def scored(rmse: float = 0.8, **fields: Any) -> dict[str, Any]:
    looked = {"loss": 0.3, "rmse": rmse, "mae": 0.6, "examples": 8}
    return {
        "version": 1,
        "duration_s": 3,
        "steps": 20,
        "tokens": 640,
        "counts": "examples",
        "before": {"validation": looked, "test": looked | {"rmse": 1.9}},
        "after": {"validation": looked, "test": looked},
        **number_report(rmse),
    } | fields


def test_the_report_says_it_in_units_with_the_twin_beside(
    client: Client, cast: Cast, ratings: Any
) -> None:
    run = sent(client, cast, form_of(cast, ratings, network(cast), name="Rater"))
    for one, best in ((run, 0.3), (run.twin, 0.6)):
        make_curve(one, {0: 0.9, 20: best})
    set_state(run, State.SUCCEEDED, report=scored())
    set_state(run.twin, State.SUCCEEDED, report=scored(0.7))
    services.comparison_update(run.twin)
    page = client.get(reverse("runs:report", args=[run.pk])).text
    for told in (
        "How well it predicts rating",
        "The transfer helped",
        "the scratch twin",
        "words alone (TF-IDF, ridge regression)",
        "always the training median",
        "0.912",
        "mean absolute error",
        "true 3.5, predicted 2",
        "So &lt;dull&gt;",
        "2.125",
    ):
        assert told in page
    # The twin is better here, and that is said of it.
    assert "adds nothing here" in page
    assert page.count("<circle") == 3
    assert "What is taken for what" not in page
    assert "validation_rmse" in client.get(reverse("runs:detail", args=[run.pk])).text


def test_ticks_are_round_numbers_within_the_range() -> None:
    assert regressions.ticks(-3.9, 3.75) == pytest.approx([-2, 0, 2])
    assert regressions.ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert regressions.ticks(997.0, 1021.0) == pytest.approx([1000, 1005, 1010, 1015, 1020])
    assert regressions.ticks(5, 5) == [5]


def test_a_report_without_points_has_no_chart() -> None:
    assert regressions.scatter({"points": []}) is None
    found = regressions.scatter({"points": [[1.0, 1.0]]})
    assert found is not None
    assert len(found.points) == 1


def test_a_checkpoint_says_what_it_predicts(cast: Cast) -> None:
    rater = make_checkpoint(cast, config=with_classes(NANO, ["rating"]))
    rater.card["target"] = {"name": "rating", "mean": 0.25, "deviation": 1.5}
    rows = dict(settings_of(rater))
    assert rows["Predicts the number"] == "rating, in the training data 0.25 ± 1.5"
