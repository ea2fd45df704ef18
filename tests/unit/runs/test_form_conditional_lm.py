"""The form of a language model with labels, its twin, and the pages of what it writes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from tests.factories import Cast
from tests.factories.datasets import LABELS, make_images, make_labelled, make_numbered, make_summary
from tests.factories.heads import make_scores
from tests.factories.runs import make_curve, make_source, set_state
from tests.unit.runs.test_form_classification import posted
from training.backbones.gpt2.config import PRESETS
from training.methods.task_related.conditional_lm_spec import ConditionalLMSpec
from webapp.jobs.models import JobEvent, State
from webapp.runs import texts_of_classes
from webapp.runs.drafts import draft, start
from webapp.runs.form_conditional_lm import ConditionalLMForm
from webapp.runs.models import Run
from webapp.runs.services import comparison_update
from webapp.runs.sources import labels_of, of_checkpoint, of_run
from webapp.runs.twins import UNLABELLED, pair_of

NAMES = [one["name"] for one in LABELS["classes"]]


@pytest.fixture
def texts(cast: Cast) -> Any:
    return make_labelled(cast)


def form_of(cast: Cast, **values: Any) -> ConditionalLMForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    return ConditionalLMForm(typed, cast.team, submitted=True)


def started(cast: Cast, form: ConditionalLMForm) -> Run:
    checked = draft(form)
    assert form.errors == {}
    address = start(checked, owner=cast.alice, team=cast.team)
    return Run.objects.get(pk=address.rpartition("/")[2])


def test_a_form_with_labelled_texts_is_a_run_with_a_row_for_each_class(
    cast: Cast, texts: Any
) -> None:
    form = form_of(cast, data=str(texts.pk), tokenizer__kind="train")
    spec = form.validate()
    assert isinstance(spec, ConditionalLMSpec), form.errors
    assert spec.control.given
    assert spec.model is not None
    assert form.config is not None
    assert form.config.vocab_size == spec.model.vocab_size + len(NAMES)
    assert form.classes == NAMES
    checked = draft(form)
    assert checked.outlook is not None
    assert checked.outlook.estimate.parameters == form.config.parameter_count()


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast, texts: Any) -> None:
    first = form_of(
        cast,
        data=str(texts.pk),
        control__unlabelled_share="0.25",
        evaluation__samples="3",
        evaluation__prompts="Once\nUpon",
    )
    spec = first.validate()
    assert spec is not None, first.errors
    assert spec.evaluation.prompts == ["Once", "Upon"]
    form = ConditionalLMForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert ConditionalLMForm.from_post(posted(form), cast.team).validate() == spec
    yaml = ConditionalLMForm.from_yaml(form.as_yaml(), form_of(cast))
    assert yaml.errors == {}
    assert yaml.validate() == spec


def test_only_texts_with_classes_are_offered(cast: Cast, texts: Any, tmp_path: Any) -> None:
    make_numbered(cast)
    make_images(cast, folder=tmp_path)
    assert list(form_of(cast).offered) == [texts]


def with_classes(cast: Cast, classes: list[dict[str, Any]], name: str = "Others") -> Any:
    summary = make_summary(labels=LABELS | {"classes": classes})
    return make_labelled(cast, name=name) if not classes else _version(cast, name, summary)


def _version(cast: Cast, name: str, summary: dict[str, Any]) -> Any:
    version = make_labelled(cast, name=name)
    version.summary = summary
    version.save()
    return version


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([{"name": "only", "train": 90, "validation": 5, "test": 5}], "only one class"),
        (
            [{"name": f"{n}", "train": 9, "validation": 1, "test": 1} for n in range(101)],
            "There are 101 classes, and 100 can be learned at most",
        ),
        (
            [
                {"name": "many", "train": 90, "validation": 5, "test": 5},
                {"name": "rare", "train": 1, "validation": 1, "test": 1},
            ],
            "Of the class “rare” there are only 1 examples",
        ),
    ],
)
def test_classes_that_cannot_be_learned_are_said_at_the_data(
    classes: list[dict[str, Any]], said: str, cast: Cast
) -> None:
    form = form_of(cast, data=str(with_classes(cast, classes).pk))
    assert form.validate() is None
    assert any(said in sentence for sentence in form.errors["data"])


def test_from_a_source_new_labels_start_as_their_words_and_known_ones_stay(
    cast: Cast, texts: Any
) -> None:
    plain = make_source(cast)
    knows = make_source(cast, name="Knows one", card={"control": [NAMES[0]]})
    rows = PRESETS["nano"].vocab_size
    for source, new in ((plain, len(NAMES)), (knows, len(NAMES) - 1)):
        form = form_of(
            cast,
            data=str(texts.pk),
            how="transfer",
            source=f"checkpoint/{source.pk}",
            architecture="source",
            tokenizer__kind="source",
        )
        checked = draft(form)
        assert form.errors == {}
        assert form.config is not None
        assert form.config.vocab_size == rows + new
        assert checked.plan is not None
        run = started(cast, form)
        made = of_run(run)
        assert made is not None
        assert made.config.vocabulary == rows + new
        assert sorted(labels_of(made)) == sorted(NAMES)
        assert pair_of(run).key == "scratch"
        assert run.twin.job.spec["tokenizer"]["kind"] == "checkpoint"
    assert labels_of(of_checkpoint(knows)) == [NAMES[0]]


def test_the_plan_says_how_many_rows_start_as_the_mean_of_their_parts(
    alice: Client, cast: Cast, texts: Any
) -> None:
    source = make_source(cast)
    form = form_of(
        cast,
        data=str(texts.pk),
        how="transfer",
        source=f"checkpoint/{source.pk}",
        architecture="source",
        tokenizer__kind="source",
    )
    page = alice.post("/runs/new/check", posted(form)).text
    assert f"{len(NAMES)} start as the mean of their parts" in page
    for name in NAMES:
        assert escape(name) in page


def test_from_scratch_the_twin_has_no_labels(alice: Client, cast: Cast, texts: Any) -> None:
    run = started(cast, form_of(cast, data=str(texts.pk)))
    assert pair_of(run) is pair_of(run.twin) is UNLABELLED
    assert run.twin.name == f"{run.name} · without labels"
    given = [one.job.spec["control"]["given"] for one in (run, run.twin)]
    assert given == [True, False]
    for one in (run, run.twin):
        assert "twin without labels" in alice.get(f"/runs/{one.pk}").text.lower()
    assert "twin without labels" in alice.get("/runs/").text


def test_without_labels_from_scratch_there_is_no_twin(cast: Cast, texts: Any) -> None:
    form = form_of(cast, data=str(texts.pk), control__given=False)
    assert not form.wants_twin
    run = started(cast, form)
    assert not hasattr(run, "twin")
    assert of_run(run).config.vocabulary == form.config.vocab_size


def test_the_form_s_page_says_what_labels_are_and_offers_the_twin(
    alice: Client, cast: Cast, texts: Any
) -> None:
    page = alice.get("/runs/new?method=conditional_lm").text
    assert "Each class gets a token of its own" in page
    assert "Also train a twin without labels" in page
    assert "Pack documents" not in page
    assert "Choose the data: its classes then stand here." in page


def test_a_preset_keeps_the_method(alice: Client, cast: Cast, texts: Any) -> None:
    form = form_of(cast, data=str(texts.pk), preset="micro")
    page = alice.post("/runs/new", posted(form).dict() | {"action": "preset"}).text
    assert '<input type="hidden" name="method" value="conditional_lm">' in page


# --- a run and its report -------------------------------------------------------------------------


def sample(run: Run, seq: int, step: int, label: str, place: int, text: str) -> None:
    data = {"label": label, "place": place, "prompt": "", "text": text}
    JobEvent.objects.create(
        job=run.job, seq=seq, at=timezone.now(), kind="sample", step=step, data=data
    )


def test_a_run_s_page_has_a_row_for_each_label_of_each_look(
    alice: Client, cast: Cast, texts: Any
) -> None:
    run = started(cast, form_of(cast, data=str(texts.pk)))
    seq = 0
    for step in (0, 100):
        for label in (*NAMES, ""):
            for place in (0, 1):
                seq += 1
                sample(run, seq, step, label, place, f"{label or 'none'} {place} <at> {step}")
    page = alice.get(f"/runs/{run.pk}").text
    assert page.count('class="label-row"') == 2 * (len(NAMES) + 1)
    assert page.count('class="label-texts"') == 2 * (len(NAMES) + 1)
    for label in NAMES:
        assert page.count(f"<h4>{escape(label)}</h4>") == 2
    assert page.index("step 100") < page.index("step 0")
    assert f"{escape(NAMES[0])} 1 &lt;at&gt; 100" in page


def side(accuracy: float, low: float, high: float, **fields: Any) -> dict[str, Any]:
    return {
        "class_accuracy": accuracy,
        "interval": [low, high],
        "texts": 60,
        "distinct_1": 0.4,
        "distinct_2": 0.8,
        "distinct_3": 0.9,
        "repetition": 0.01,
        "copied": 0.002,
    } | fields


def written_of(**fields: Any) -> dict[str, Any]:
    """``written`` of a report in which labels work."""
    return {
        "split": "test",
        "given": True,
        "examples": 200,
        "tokens": 6000,
        "classes": NAMES,
        "perplexity": {
            "true": {"value": 40.0, "interval": [38.0, 42.0]},
            "wrong": {"value": 55.0, "interval": [52.0, 58.0]},
            "unlabelled": {"value": 44.0, "interval": [42.0, 46.0]},
        },
        "gap": {"value": 0.318, "interval": [0.301, 0.334]},
        "gain": {"value": 0.095, "interval": [0.080, 0.110]},
        "sides": {
            "labelled": side(0.8, 0.7, 0.9),
            "unlabelled": side(0.5, 0.4, 0.6),
            "real": side(0.95, 0.9, 1.0, copied=0.001),
        },
        "judge": {"accuracy": 0.9, "interval": [0.88, 0.92], "examples": 400},
        "by_class": [{"name": name, "accuracy": 0.8, "texts": 30} for name in NAMES],
        "unit": "words",
        "copied_length": 8,
        "bayes": {
            "scores": {
                "model": make_scores(0.9),
                "tfidf": make_scores(0.92),
                "majority": make_scores(0.5),
            },
            "beaten_by": ["tfidf"],
        },
        "changed": {"likelihood": True, "samples": True},
    } | fields


@pytest.mark.parametrize(
    ("likelihood", "samples", "said"),
    [
        (True, True, "The labels work"),
        (True, False, "not enough to write by"),
        (False, True, "by heart"),
        (False, False, "The labels changed nothing"),
    ],
)
def test_the_verdict_says_plainly_what_the_labels_changed(
    likelihood: bool, samples: bool, said: str
) -> None:
    found = written_of(changed={"likelihood": likelihood, "samples": samples})
    assert said in texts_of_classes.verdict(found)


def test_doubts_are_said() -> None:
    assert texts_of_classes.warnings(written_of()) == []
    judge = {"accuracy": 0.6, "interval": [0.5, 0.7], "examples": 40}
    (doubt,) = texts_of_classes.warnings(written_of(judge=judge))
    assert "only 60% of real texts right" in doubt
    sides = written_of()["sides"]
    sides["labelled"] = side(0.8, 0.7, 0.9, copied=0.4)
    (doubt,) = texts_of_classes.warnings(written_of(sides=sides))
    assert "by heart" in doubt


def report_of(written: dict[str, Any], samples: list[dict[str, Any]]) -> dict[str, Any]:
    scores = {"loss": 3.7, "perplexity": 40.0, "accuracy": 0.3, "tokens": 900}
    after = {"validation": scores, "test": scores}
    return {
        "before": after,
        "after": after,
        "steps": 400,
        "tokens": 9000,
        "written": written,
        "samples": {"before": samples, "after": samples},
    }


def test_the_report_has_readings_sides_classifier_and_the_twin(
    alice: Client, cast: Cast, texts: Any
) -> None:
    run = started(cast, form_of(cast, data=str(texts.pk)))
    mine = [{"label": NAMES[0], "place": 0, "prompt": "", "text": "written by the run"}]
    theirs = [{"label": "", "place": 0, "prompt": "", "text": "written by the twin"}]
    unlabelled = {
        "split": "test",
        "given": False,
        "examples": 200,
        "tokens": 6000,
        "classes": NAMES,
        "perplexity": {"unlabelled": {"value": 47.5, "interval": [45.0, 50.0]}},
    }
    for one, written, samples in ((run, written_of(), mine), (run.twin, unlabelled, theirs)):
        make_curve(one, {0: 5.0, 100: 3.9 if one == run else 4.2})
        set_state(one, State.SUCCEEDED, report=report_of(written, samples))
    comparison_update(run)
    page = alice.get(f"/runs/{run.pk}/report").text
    for part in (
        "Did the labels help?",
        "The labels helped",
        "The labels work",
        "with a wrong label (mean of all others)",
        "by the twin without labels",
        "47.5",
        "written without a label",
        "real ones, cut as long",
        "distinct-2",
        "As a classifier",
        "words alone (TF-IDF)",
        "written by the run",
        "written by the twin",
        f'<span class="tag">{escape(NAMES[0])}</span>',
    ):
        assert part in page, part
    # Of the twin's page, the report is the run's.
    assert "The labels work" in alice.get(f"/runs/{run.twin.pk}/report").text


def test_a_report_of_a_run_that_knows_no_texts_without_a_label(
    alice: Client, cast: Cast, texts: Any
) -> None:
    form = form_of(cast, data=str(texts.pk), control__unlabelled_share="0", twin=False)
    run = started(cast, form)
    written = written_of()
    del written["gain"], written["perplexity"]["unlabelled"], written["sides"]["unlabelled"]
    written["sides"]["real"]["copied"] = None
    set_state(run, State.SUCCEEDED, report=report_of(written, []))
    page = alice.get(f"/runs/{run.pk}/report").text
    assert "The labels work" in page
    assert "written without a label" not in page
    assert "saves" not in page
