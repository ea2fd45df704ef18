"""The form of runs on several targets, their twins, and the pages of what they learn."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.datasets import make_column, make_table
from tests.factories.heads import make_report, make_scores
from tests.factories.runs import make_curve, make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.registry import BACKBONES
from training.backbones.wide_deep.config import WideDeepConfig
from webapp.checkpoints.selectors import settings_of
from webapp.jobs.models import State
from webapp.runs import services
from webapp.runs.drafts import draft, start
from webapp.runs.form_multi_task import MultiTaskForm
from webapp.runs.models import Run
from webapp.runs.selectors import model_of
from webapp.runs.sources import of_run
from webapp.runs.twins import pair_of
from webapp.runs.verdicts import verdict

NANO = BACKBONES["multi_task"].presets["nano"]
PAY = {"name": "pay per hour", "type": "number", "missing": 40}


@pytest.fixture
def table(cast: Cast) -> Any:
    plain = make_table(cast, name="One target")
    targets = [*plain.summary["targets"], PAY]
    columns = [*plain.summary["columns"], make_column(PAY["name"], "number", target=True)]
    summary = plain.summary | {"targets": targets, "columns": columns}
    return make_table(cast, name="Census", summary=summary)


def form_of(cast: Cast, **values: Any) -> MultiTaskForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    return MultiTaskForm(typed, cast.team, submitted=True)


def started(cast: Cast, form: MultiTaskForm) -> Run:
    checked = draft(form)
    assert form.errors == {}
    address = start(checked, owner=cast.alice, team=cast.team)
    return Run.objects.get(pk=address.rpartition("/")[2])


def test_a_blank_form_with_a_table_learns_all_its_targets(cast: Cast, table: Any) -> None:
    form = form_of(cast, data=str(table.pk))
    spec = form.validate()
    assert spec is not None, form.errors
    assert (spec.tasks, spec.source) == ([], None)
    config = form.config
    assert config is not None
    assert config.outputs == [2, 1]
    assert config.tasks[0] == "income"
    assert (config.pieces, config.categories) == ([1], [4])
    assert draft(form).outlook.estimate.parameters == config.parameter_count()
    shown = [(one.name, one.classes, one.is_main, one.is_learned) for one in form.targets]
    assert shown == [("income", 2, True, True), ("pay per hour", None, False, True)]


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast, table: Any) -> None:
    first = form_of(
        cast,
        data=str(table.pk),
        tasks="pay per hour\nincome = 0.25",
        network__hidden="16\n8",
        training__main_share="0.2",
    )
    spec = first.validate()
    assert spec is not None, first.errors
    assert [(one.target, one.weight) for one in spec.tasks] == [
        ("pay per hour", 1),
        ("income", 0.25),
    ]
    form = MultiTaskForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert form.values["tasks"] == "pay per hour\nincome = 0.25"
    assert MultiTaskForm.from_post(posted(form), cast.team).validate() == spec
    yaml = MultiTaskForm.from_yaml(form.as_yaml(), form_of(cast))
    assert yaml.errors == {}
    assert yaml.validate() == spec


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        ({"tasks": "income\nage"}, "tasks", "Line 2: age is no target of this table"),
        ({"tasks": "income\nincome"}, "tasks", "Line 2: The target income stands there twice"),
        ({"tasks": "income = 0"}, "tasks", "more than 0"),
        (
            {"tasks": "income\npay per hour = 2", "training__weighting": "uncertainty"},
            "tasks",
            "Line 2: The weights are learned",
        ),
        ({"training__main_share": "2"}, "training.main_share", "1 or less"),
        ({"network__hidden": ""}, "network.hidden", "Choose at least 1"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    values: dict[str, str], name: str, said: str, cast: Cast, table: Any
) -> None:
    form = form_of(cast, data=str(table.pk), **values)
    assert form.validate() is None
    assert list(form.errors) == [name]
    assert said in form.errors[name][0]


def test_a_target_that_cannot_be_learned_is_refused_by_name(cast: Cast, table: Any) -> None:
    income = table.summary["targets"][0]
    one_class = [one | {"train": 0 if place else 9} for place, one in enumerate(income["classes"])]
    for classes, said in (
        (one_class, "has only one class"),
        ([one | {"train": 0} for one in one_class], "No row of the train split has a label"),
    ):
        targets = [PAY, income | {"classes": classes}]
        other = make_table(cast, name=said, summary=table.summary | {"targets": targets})
        form = form_of(cast, data=str(other.pk))
        assert form.validate() is None
        assert said in form.errors["tasks"][0]
        assert form_of(cast, data=str(other.pk), tasks="pay per hour").validate() is not None


def test_tables_whose_only_target_is_a_number_are_offered_too(cast: Cast, table: Any) -> None:
    number = make_table(cast, name="Pay", summary=table.summary | {"targets": [PAY]})
    none = make_table(cast, name="None", summary=table.summary | {"targets": []})
    offered = set(form_of(cast).offered)
    assert {number, table} <= offered
    assert none not in offered


# --- twins ----------------------------------------------------------------------------------------


def test_from_scratch_its_twin_learns_the_main_target_alone(cast: Cast, table: Any) -> None:
    form = form_of(cast, data=str(table.pk), training__weighting="uncertainty", name="Both")
    run = started(cast, form)
    twin = run.twin
    assert twin.name == "Both · main target alone"
    assert twin.job.spec["only_main"] is True
    assert twin.job.spec["training"]["weighting"] == "fixed"
    assert model_of(twin).tasks == ["income"]
    assert pair_of(run) == pair_of(twin)
    assert pair_of(run).key == "single"


@pytest.mark.parametrize("values", [{"tasks": "income"}, {"only_main": True}, {"twin": False}])
def test_one_target_has_no_twin(values: dict[str, Any], cast: Cast, table: Any) -> None:
    run = started(cast, form_of(cast, data=str(table.pk), **values))
    assert not hasattr(run, "twin")


def test_one_target_of_the_table_has_no_twin_either(cast: Cast, table: Any) -> None:
    number = make_table(cast, name="Pay", summary=table.summary | {"targets": [PAY]})
    assert not hasattr(started(cast, form_of(cast, data=str(number.pk))), "twin")


def source(cast: Cast, **fields: Any) -> Any:
    values = {"name": "Earlier", "config": NANO, "architecture": "multi_task"}
    return make_source(cast, **values | fields)


def test_a_transfer_keeps_heads_of_equal_targets_and_its_twin_is_from_scratch(
    cast: Cast, table: Any
) -> None:
    known = [{"name": "income", "classes": [">50K", "<=50K"]}, {"name": "other", "mean": 1}]
    earlier = source(cast, card={"tasks": known})
    form = form_of(cast, how="transfer", data=str(table.pk), source=f"checkpoint/{earlier.pk}")
    assert form.validate() is not None, form.errors
    assert form.config.hidden == NANO.hidden
    assert [name.partition(".")[2].rpartition(".")[0] for name in form.afresh] == [
        form.config.tasks[1]
    ] * 2
    run = started(cast, form)
    assert run.twin.job.spec["source"] is None
    assert run.twin.job.spec["only_main"] is False
    assert run.twin.job.spec["features"]["checkpoint"].endswith(str(earlier.pk))
    assert pair_of(run).key == "scratch"
    again = MultiTaskForm.from_spec(run.twin.job.spec, cast.team)
    assert again.validate() is not None, again.errors
    assert again.config.hidden == NANO.hidden


def test_a_wide_and_deep_model_is_a_source_of_its_trunk(cast: Cast, table: Any) -> None:
    config = WideDeepConfig(numbers=[3], pieces=[1], categories=[4], embeddings=[2], hidden=[8])
    earlier = source(cast, config=config, architecture="wide_deep")
    form = form_of(cast, how="transfer", data=str(table.pk), source=f"checkpoint/{earlier.pk}")
    counts = draft(form).plan.plan.counts()
    assert form.errors == {}
    assert (counts["copied"], counts["initialised"]) == (3, 4)


def test_a_run_on_its_way_can_be_a_source(cast: Cast, table: Any) -> None:
    promised = of_run(started(cast, form_of(cast, data=str(table.pk))))
    assert promised is not None
    assert promised.config.outputs == [2, 1]


# --- pages ----------------------------------------------------------------------------------------


def test_the_form_is_a_page_that_says_what_the_targets_are(
    alice: Client, cast: Cast, table: Any
) -> None:
    page = alice.get(f"{reverse('runs:new')}?method=multi_task&data={table.pk}").text
    assert "Targets of this table" in page
    assert "pay per hour" in page
    assert page.count('name="twin"') == 1
    assert "Also train a single-task twin" in page
    values = posted(form_of(cast, data=str(table.pk), tasks="pay per hour"))
    checked = alice.post(reverse("runs:check"), values | {"method": "multi_task"}).text
    assert "not learned" in checked


def test_a_table_with_several_targets_leads_to_it(alice: Client, cast: Cast, table: Any) -> None:
    link = f"{reverse('runs:new')}?method=multi_task&amp;data="
    assert link in alice.get(reverse("datasets:version", args=[table.pk])).text
    plain = make_table(cast, name="Plain")
    assert link not in alice.get(reverse("datasets:version", args=[plain.pk])).text


def scored(**fields: Any) -> dict[str, Any]:
    row = {"id": 7, "values": [["age", "38"], ["member", None]], "label": ">50K"}
    income = make_report(
        scores={
            name: make_scores(0.9 - place / 10) for place, name in enumerate(("model", "majority"))
        },
        predictions=[row | {"predicted": "<=50K", "probability": 0.9, "loss": 2.3}],
    )
    errors = {"mae": 1.0, "r2": 0.5, "examples": 90, "intervals": {"rmse": [1.1, 1.9]}}
    about = {"labelled": {"train": 200}, "weight": 0.75, "log_variance": 0.3}
    pay = {
        "examples": 171,
        "split": "test",
        "scores": {"model": errors | {"rmse": 1.5}, "mean": errors | {"rmse": 3.25, "r2": -0.1}},
        "beaten_by": [],
        "predictions": [row | {"label": 40.0, "predicted": 22.5, "error": -17.5}],
    }
    looked = {"loss": 0.3, "accuracy": 0.9, "examples": 8, "loss.pay": 0.5}
    return {
        "version": 1,
        "duration_s": 3,
        "steps": 20,
        "tokens": 640,
        "counts": "examples",
        "weighting": "uncertainty",
        "left_out": {"train": 3},
        "before": {"validation": looked, "test": None},
        "after": {"validation": looked, "test": None},
        "tasks": [
            income | about | {"target": "income", "key": "income", "type": "category"},
            pay | about | {"target": "pay per hour", "key": "pay", "type": "number"},
        ],
    } | fields


@pytest.mark.parametrize(
    ("best", "said"), [(0.3, "The other targets helped"), (0.5, "The other targets hurt")]
)
def test_the_report_has_each_target_and_says_what_the_others_gave(
    best: float, said: str, alice: Client, cast: Cast, table: Any
) -> None:
    form = form_of(cast, data=str(table.pk), training__weighting="uncertainty", name="Both")
    run = started(cast, form)
    make_curve(run, {0: 0.8, 20: best})
    make_curve(run.twin, {0: 0.8, 20: 0.4})
    alone = scored()
    set_state(run, State.SUCCEEDED, report=scored())
    set_state(run.twin, State.SUCCEEDED, report=scored(tasks=alone["tasks"][:1]))
    services.comparison_update(run.twin)
    run.refresh_from_db()
    outcome = verdict(run.comparison, pair_of(run))
    assert outcome is not None
    assert said in outcome.sentence
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    for part in (
        "Did the other targets help?",
        said,
        "the same network on this target alone",
        "always the commonest class",
        "always the training mean",
        "22.5",
        "3 training rows have none of these labels",
        "log σ²",
        "validation_noise.income",
    ):
        assert part in page
    assert "scratch twin" not in page
    assert "transfer" not in page.partition('id="verdict-head"')[2].partition("</section>")[0]
    detail = alice.get(reverse("runs:detail", args=[run.pk])).text
    assert said in detail
    assert "single-task twin" in alice.get(reverse("runs:list")).text


def test_curves_of_targets_are_sent_by_their_names(alice: Client, cast: Cast, table: Any) -> None:
    form = form_of(cast, data=str(table.pk), training__weighting="uncertainty")
    run = started(cast, form)
    make_curve(run, {0: 0.0, 20: -0.5}, name="validation_noise.income")
    url = reverse("runs:curves", args=[run.pk])
    told = alice.get(f"{url}?names=validation_noise.income,validation_noise.other").json()
    assert told["series"] == {"validation_noise.income": {"steps": [0, 20], "values": [0.0, -0.5]}}


def test_its_checkpoint_says_tasks_and_widths_in_words(alice: Client, cast: Cast) -> None:
    config = BACKBONES["multi_task"].presets["nano"]
    made = make_source(cast, config=config, architecture="multi_task", card={})
    told = dict(settings_of(made))
    assert told["Tasks"] == "class, amount"
    assert told["Hidden widths"] == "16, 8"
    assert "[&#x27;" not in alice.get(reverse("checkpoints:detail", args=[made.pk])).text
