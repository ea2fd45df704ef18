"""The form of runs on tables, and the pages of what they learn."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_labelled, make_table
from tests.factories.heads import make_report, make_scores
from tests.factories.runs import make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.registry import BACKBONES
from training.backbones.wide_deep.config import WideDeepConfig
from webapp.checkpoints.views import SELF_CONTAINED
from webapp.jobs.models import State
from webapp.runs import services
from webapp.runs.drafts import draft
from webapp.runs.form_wide_deep import WideDeepForm
from webapp.runs.methods import METHODS
from webapp.runs.models import Run
from webapp.runs.selectors import model_of
from webapp.runs.sources import of_run

NANO = BACKBONES["wide_deep"].presets["nano"]


@pytest.fixture
def table(cast: Cast) -> Any:
    return make_table(cast, name="Census")


def source(cast: Cast, **card: Any) -> Any:
    return make_source(cast, name="Earlier", config=NANO, architecture="wide_deep", card=card)


def form_of(cast: Cast, **values: Any) -> WideDeepForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    return WideDeepForm(typed, cast.team, submitted=True)


def transfer(cast: Cast, version: Any, checkpoint: Any, **values: Any) -> WideDeepForm:
    key = f"checkpoint/{checkpoint.pk}"
    return form_of(cast, how="transfer", data=str(version.pk), source=key, **values)


def started(cast: Cast, form: WideDeepForm, *, twin: bool = False) -> Run:
    spec = form.validate()
    assert spec is not None, form.errors
    return services.run_create(name="Rows", spec=spec, owner=cast.alice, team=cast.team, twin=twin)


def test_a_blank_form_with_a_table_is_complete(cast: Cast, table: Any) -> None:
    form = form_of(cast, data=str(table.pk))
    spec = form.validate()
    assert spec is not None, form.errors
    assert (spec.method, spec.source, spec.target) == ("wide_deep", None, "")
    config = form.config
    assert config is not None
    # Two values of age: two buckets at most, and one for a missing value.
    assert (config.numbers, config.pieces, config.categories) == ([3], [1], [4])
    assert config.num_classes == 2
    assert draft(form).outlook.estimate.parameters == config.parameter_count()


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast, table: Any) -> None:
    first = form_of(
        cast,
        data=str(table.pk),
        target="income",
        features__crosses="age × member\nmember, age",
        network__hidden="16\n8",
        network__embedding="3",
        training__deep_optimiser="adamw",
        training__l1="0.5",
    )
    spec = first.validate()
    assert spec is not None, first.errors
    assert spec.features.crosses == [["age", "member"], ["member", "age"]]
    assert spec.network.hidden == [16, 8]
    form = WideDeepForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert form.values["features.crosses"] == "age × member\nmember × age"
    assert WideDeepForm.from_post(posted(form), cast.team).validate() == spec
    yaml = WideDeepForm.from_yaml(form.as_yaml(), form_of(cast))
    assert yaml.errors == {}
    assert yaml.validate() == spec


def test_only_tables_with_classes_to_tell_apart_are_offered(cast: Cast, table: Any) -> None:
    texts = make_labelled(cast, name="Letters")
    number = {"name": "age", "type": "number", "missing": 0}
    untold = make_table(cast, name="Untold", summary=table.summary | {"targets": []})
    estimated = make_table(cast, name="Ages", summary=table.summary | {"targets": [number]})
    second = [number, *table.summary["targets"]]
    both = make_table(cast, name="Both", summary=table.summary | {"targets": second})
    assert set(form_of(cast).offered) == {table, both}
    for one in (texts, untold, estimated):
        assert form_of(cast, data=str(one.pk)).version is None
    assert form_of(cast, data=str(both.pk)).validate() is not None
    named = form_of(cast, data=str(both.pk), target="age")
    assert named.validate() is None
    assert "is a number" in named.errors["target"][0]


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        ({"target": "pay"}, "target", "Its targets are: income"),
        ({"features__crosses": "age × pay"}, "features.crosses", "Line 1: There is no input pay"),
        ({"features__crosses": "age × income"}, "features.crosses", "inputs are: age, member"),
        ({"features__crosses": "age × member\nage"}, "features.crosses", "Line 2: Cross two to 4"),
        ({"features__crosses": "age, age"}, "features.crosses", "Line 1"),
        (
            {"features__crosses": "age × member", "network__parts": "deep"},
            "features.crosses",
            "Only the wide part has crosses",
        ),
        ({"network__hidden": "64\nmany"}, "network.hidden", "Line 2: Write a whole number"),
        ({"network__hidden": ""}, "network.hidden", "Choose at least 1"),
        ({"training__l1": "-1"}, "training.l1", "0 or more"),
        ({"training__wide_rate": "0"}, "training.wide_rate", "more than 0"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    values: dict[str, str], name: str, said: str, cast: Cast, table: Any
) -> None:
    form = form_of(cast, data=str(table.pk), **values)
    assert form.validate() is None
    assert list(form.errors) == [name]
    assert said in form.errors[name][0]


def test_a_transfer_has_its_source_s_columns_and_network(cast: Cast, table: Any) -> None:
    form = transfer(cast, table, source(cast), features__crosses="nonsense", network__hidden="x")
    spec = form.validate()
    assert spec is not None, form.errors
    assert spec.features.crosses == []
    assert form.config == NANO
    counts = draft(form).plan.plan.counts()
    # Other classes: all of the wide part and the head.
    assert counts["initialised"] == len(NANO.label_head)
    same = transfer(cast, table, source(cast, classes=[">50K", "<=50K"]))
    assert draft(same).plan.plan.counts()["initialised"] == 0


def test_its_twin_is_the_same_model_from_random_weights(cast: Cast, table: Any) -> None:
    checkpoint = source(cast)
    run = started(cast, transfer(cast, table, checkpoint), twin=True)
    twin = run.twin
    assert twin.job.spec["source"] is None
    assert twin.job.spec["features"]["checkpoint"].endswith(str(checkpoint.pk))
    assert model_of(twin) == NANO
    again = WideDeepForm.from_spec(twin.job.spec, cast.team)
    assert again.errors == {}
    assert again.validate() is not None
    assert again.config == NANO


def test_a_run_on_its_way_can_be_a_source(cast: Cast, table: Any) -> None:
    run = started(cast, form_of(cast, data=str(table.pk), features__crosses="age × member"))
    promised = of_run(run)
    assert promised is not None
    assert isinstance(promised.config, WideDeepConfig)
    assert promised.config.crosses == [1 + 3 * 4]
    form = form_of(cast, how="transfer", data=str(table.pk), source=f"run/{run.pk}")
    assert form.validate() is not None, form.errors
    assert draft(form).plan is not None


# --- pages ----------------------------------------------------------------------------------------


def test_the_form_is_a_page(alice: Client, table: Any) -> None:
    page = alice.get(f"{reverse('runs:new')}?method=wide_deep&data={table.pk}").text
    assert f'value="{table.pk}" selected' in page
    assert "What of a row it is shown" in page
    assert 'name="features.crosses"' in page
    assert "training rows, income" in page


def test_a_table_with_classes_leads_to_it(alice: Client, cast: Cast, table: Any) -> None:
    link = f"{reverse('runs:new')}?method=wide_deep&amp;data="
    page = alice.get(reverse("datasets:version", args=[table.pk])).text
    assert f"{link}{table.pk}" in page
    plain = make_table(cast, name="Plain", summary=table.summary | {"targets": []})
    assert link not in alice.get(reverse("datasets:version", args=[plain.pk])).text


def test_the_page_of_a_run_tells_of_its_model(alice: Client, cast: Cast, table: Any) -> None:
    run = started(cast, form_of(cast, data=str(table.pk), features__crosses="age × member"))
    page = alice.get(reverse("runs:detail", args=[run.pk])).text
    assert "Wide &amp; Deep" in page
    assert "Rows per second" in page
    assert "age × member" in page or "age" in page


def test_the_report_shows_rows_and_what_stands_beside(
    alice: Client, cast: Cast, table: Any
) -> None:
    run = started(cast, form_of(cast, data=str(table.pk)))
    worst = {
        "id": 7,
        "values": [["age", "38"], ["member", None], ["items", "<b>"]],
        "label": ">50K",
        "predicted": "<=50K",
        "probability": 0.9,
        "loss": 2.3,
    }
    names = ("model", "boosting", "logistic", "majority")
    scores = {name: make_scores(0.9 - place / 10) for place, name in enumerate(names)}
    looked = {"loss": 0.3, "accuracy": 0.9, "examples": 8}
    report = make_report(
        target="income",
        zero_share=0.5,
        scores=scores,
        before={"validation": looked, "test": None},
        after={"validation": looked, "test": None},
        predictions=[worst],
        counts="examples",
        steps=20,
        tokens=640,
    )
    set_state(run, State.SUCCEEDED, report=report)
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert "gradient-boosted trees on the same columns" in page
    assert "logistic regression on the same columns" in page
    assert '<span class="soft">age</span> 38' in page
    assert '<span class="soft">member</span> –' in page
    assert "&lt;b&gt;" in page
    assert "perplexity" not in page


def test_a_checkpoint_of_a_table_is_a_source_and_is_not_copied_or_merged(
    alice: Client, cast: Cast
) -> None:
    assert "wide_deep" not in SELF_CONTAINED
    checkpoint = source(cast)
    page = alice.get(reverse("checkpoints:detail", args=[checkpoint.pk])).text
    assert f"{reverse('runs:new')}?source={checkpoint.pk}" in page
    for name in ("checkpoints:copy", "checkpoints:merge"):
        link = reverse(name, args=[checkpoint.pk] if name == "checkpoints:copy" else [])
        assert f'href="{link}?ids={checkpoint.pk}"' not in page
        assert f'href="{link}"' not in page.replace(reverse("checkpoints:merge"), "")
    assert alice.get(reverse("checkpoints:copy", args=[checkpoint.pk])).status_code == 404
    merge = reverse("checkpoints:merge")
    assert alice.get(f"{merge}?ids={checkpoint.pk}").status_code == 404
    other = make_checkpoint(cast)
    assert "Earlier" not in alice.get(f"{merge}?ids={other.pk}").text
    form = alice.get(f"{reverse('runs:new')}?source={checkpoint.pk}").context["form"]
    assert form.method == "wide_deep"
    assert METHODS[form.method].name == "Wide & Deep"
