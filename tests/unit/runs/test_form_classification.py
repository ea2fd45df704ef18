"""The form of a classifier's run: what was typed becomes a spec, and a spec what was typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from tests.factories import Cast
from tests.factories.datasets import make_images, make_labelled, make_version
from tests.factories.heads import make_report, make_scores
from tests.factories.runs import make_source, set_state
from training.backbones.bert.config import PRESETS as BERT
from training.backbones.resnet.config import PRESETS as RESNETS
from training.backbones.vit.config import ViTConfig
from training.methods.task_related.classification_spec import ClassificationSpec
from webapp.jobs.models import State
from webapp.runs import jobs, services
from webapp.runs.drafts import draft
from webapp.runs.form_classification import ClassificationForm
from webapp.runs.form_network import sizes, written
from webapp.runs.models import Run

NANO = RESNETS["nano"]


@pytest.fixture
def images(cast: Cast, tmp_path: Path) -> Any:
    return make_images(cast, folder=tmp_path)


def network(cast: Cast, config: Any = NANO, **fields: Any) -> Any:
    values = {"name": "Eyes", "config": config, "architecture": config.architecture, "card": {}}
    return make_source(cast, **values | fields)


def form_of(cast: Cast, **values: Any) -> ClassificationForm:
    typed = {name.replace("__", "."): value for name, value in values.items()}
    return ClassificationForm(typed, cast.team, submitted=True)


def transfer(cast: Cast, version: Any, source: Any, **values: Any) -> ClassificationForm:
    key = f"checkpoint/{source.pk}"
    return form_of(cast, how="transfer", data=str(version.pk), source=key, **values)


def posted(form: ClassificationForm) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, value in form.values.items():
        if value is True:
            data[name] = "on"
        elif value is not False:
            data[name] = value
    data["method"] = form.method
    return data


def test_every_size_is_a_network_of_images_and_the_smallest_comes_first(
    cast: Cast, images: Any
) -> None:
    assert sizes()[0] == (written(NANO), "ResNet and ResNeXt · nano")
    for value, _name in sizes():
        form = form_of(cast, how="scratch", data=str(images.pk), model=value)
        assert form.validate() is not None, form.errors
        assert form.config.num_classes == 2


def test_from_scratch_what_adapts_a_source_is_left_out_whatever_it_says(
    cast: Cast, images: Any
) -> None:
    form = form_of(
        cast,
        how="scratch",
        data=str(images.pk),
        training__policy="lp_ft",
        training__l2_sp="nonsense",
        training__steps="70",
    )
    spec = form.validate()
    assert spec is not None, form.errors
    assert (spec.training.policy, spec.training.l2_sp, spec.training.steps) == ("full", 0.0, 70)
    assert spec.source is None
    assert spec.model == NANO


def test_a_spec_survives_the_way_through_form_and_browser(cast: Cast, images: Any) -> None:
    source = network(cast)
    spec = ClassificationSpec.model_validate(
        {
            "data": {"path": f"store:dataset/{images.pk}"},
            "source": {"checkpoint": f"store:checkpoint/{source.pk}", "reinitialise": ["bn1.*"]},
            "examples": 50,
            "inputs": {"image_px": 32, "augmentation": "shift_flip", "normalisation": "unit"},
            "training": {"policy": "gradual", "stages": 4, "rate_decay": 0.9, "norms": "source"},
            "evaluation": {"every": 7},
            "seed": 3,
        }
    )
    form = ClassificationForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert form.errors == {}
    assert ClassificationForm.from_post(posted(form), cast.team).validate() == spec


def test_a_network_of_one_s_own_is_pasted_and_kept(cast: Cast, images: Any) -> None:
    text = (
        f"method: classification\ndata: {{path: 'store:dataset/{images.pk}'}}\n"
        "model: {architecture: resnet, depths: [1], group_width: 8}\n"
    )
    form = ClassificationForm.from_yaml(text, form_of(cast))
    assert form.errors == {}
    again = ClassificationForm.from_post(posted(form), cast.team)
    spec = again.validate()
    assert spec is not None, again.errors
    assert (spec.model.depths, spec.model.group_width) == ([1], 8)
    assert again.sizes[-1][1] == "as pasted"


def test_what_is_wrong_with_a_pasted_network_is_said_at_the_network(
    cast: Cast, images: Any
) -> None:
    bad = '{"architecture": "resnet", "depths": [0]}'
    form = form_of(cast, how="scratch", data=str(images.pk), model=bad)
    assert form.validate() is None
    assert list(form.errors) == ["model"]
    assert form.config is None


def test_a_text_network_for_images_is_refused_at_the_data(cast: Cast, images: Any) -> None:
    config = BERT["nano"]
    form = transfer(cast, images, network(cast, config))
    assert form.validate() is None
    assert "BERT" in form.errors["data"][0]


def test_a_network_of_texts_learns_from_labelled_texts(cast: Cast) -> None:
    form = transfer(cast, make_labelled(cast), network(cast, BERT["nano"]))
    assert form.validate() is not None, form.errors
    assert form.config.labels == [
        str(one["name"]) for one in form.version.summary["labels"]["classes"]
    ]
    assert form.source_values(form.source) == {"training.learning_rate": "5e-05"}


def test_lora_needs_a_transformer(cast: Cast, images: Any) -> None:
    form = transfer(cast, images, network(cast), lora=True)
    assert form.validate() is None
    assert "ResNet" in form.errors["lora"][0]
    form = transfer(cast, make_labelled(cast), network(cast, BERT["nano"]), lora=True)
    spec = form.validate()
    assert spec is not None, form.errors
    assert spec.training.lora.targets == ["attention.query", "attention.value"]
    assert form.setting("training.lora.targets").choices[0] == ("attention.query", "queries")
    again = ClassificationForm.from_spec(spec.model_dump(mode="json"), cast.team)
    assert again.values["lora"] is True


@pytest.mark.parametrize(
    ("values", "name", "sentence"),
    [
        ({"examples": "1"}, "examples", "2"),
        ({"inputs__image_px": "8"}, "inputs.image_px", "16"),
        ({"training__policy": "all"}, "training.policy", ""),
        ({"devices__count": "64", "training__batch_size": "8"}, "training.batch_size", "64"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    cast: Cast, images: Any, values: dict[str, str], name: str, sentence: str
) -> None:
    form = transfer(cast, images, network(cast), **values)
    assert form.validate() is None
    assert sentence in form.errors[name][0]


def test_a_vision_transformer_sees_images_of_its_own_size_only(cast: Cast, images: Any) -> None:
    config = ViTConfig(image_size=32, patch_size=8, width=16, depth=1, heads=2, inner=32)
    form = transfer(cast, images, network(cast, config), inputs__image_px="48")
    assert form.validate() is None
    assert "32" in form.errors["inputs.image_px"][0]


def test_data_without_a_validation_split_is_refused(cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path, summary={"splits": {"train": {"images": 80}}})
    form = transfer(cast, version, network(cast))
    assert form.validate() is None
    assert "validation" in form.errors["data"][0]


def test_only_data_with_labels_is_offered(cast: Cast, images: Any) -> None:
    plain = make_version(cast, name="Plain")
    labelled = make_labelled(cast, name="Letters")
    assert set(form_of(cast).offered) == {images, labelled}
    assert form_of(cast, data=str(plain.pk)).version is None


def test_the_plan_leaves_the_head_behind_unless_its_classes_are_the_same(
    cast: Cast, images: Any
) -> None:
    two = NANO.model_copy(update={"num_classes": 2})
    other = draft(transfer(cast, images, network(cast, two))).plan
    same = draft(transfer(cast, images, network(cast, two, card={"classes": ["dog", "cat"]}))).plan
    assert other is not None
    assert same is not None
    assert same.plan.counts()["initialised"] == 0
    assert other.plan.counts()["initialised"] == 2


def test_run_and_twin_name_what_they_need(cast: Cast, images: Any, monkeypatch: Any) -> None:
    source = network(cast)
    spec = transfer(cast, images, source, training__policy="head").validate()
    run = services.run_create(name="", spec=spec, owner=cast.alice, team=cast.team, twin=True)
    assert run.method == "classification"
    assert run.name == "Eyes → Animals"
    twin = run.twin.job.spec
    assert twin["source"] is None
    assert twin["inputs"]["checkpoint"] == f"store:checkpoint/{source.pk}"
    assert twin["training"]["policy"] == "full"

    placed: list[str] = []
    monkeypatch.setattr(
        jobs, "place_files", lambda reference, folder: placed.append(reference) or str(folder)
    )
    told = jobs.inputs(run.twin.job, twin, Path("/w"))
    assert placed == [f"store:dataset/{images.pk}", f"store:checkpoint/{source.pk}"]
    assert told["inputs"]["checkpoint"] == "/w/inputs"


# --- pages ----------------------------------------------------------------------------------------


def test_the_form_is_chosen_by_a_link_and_filled_by_it(
    client: Client, cast: Cast, images: Any
) -> None:
    source = network(cast)
    client.force_login(cast.alice)
    url = reverse("runs:new")
    page = client.get(f"{url}?method=classification&data={images.pk}").text
    assert f'value="{images.pk}" selected' in page
    assert "How the weights are adapted" in page
    assert "GPT-2&#x27;s published vocabulary" not in page
    # A link that names only a source comes to the form of a method that trains such.
    page = client.get(f"{url}?source={source.pk}").text
    assert f'value="checkpoint/{source.pk}" checked' in page
    assert 'name="method" value="classification"' in page
    assert "How the weights are adapted" not in client.get(url).text


def test_sent_it_becomes_a_run_and_with_a_mistake_nothing_typed_is_lost(
    client: Client, cast: Cast, images: Any
) -> None:
    client.force_login(cast.alice)
    form = transfer(cast, images, network(cast), name="Mine", training__steps="many")
    wrong = client.post(reverse("runs:new"), posted(form))
    assert wrong.status_code == 422
    assert 'value="many"' in wrong.text
    form.values["training.steps"] = "20"
    sent = client.post(reverse("runs:new"), posted(form))
    run = Run.objects.get(name="Mine")
    assert sent.url == reverse("runs:detail", args=[run.pk])
    page = client.get(sent.url).text
    assert "Examples per second" in page
    assert "What it writes" not in page
    assert "ResNet and ResNeXt" in page
    assert (
        "no checkpoint yet" not in client.get(f"{reverse('runs:new')}?method=classification").text
    )
    assert "no checkpoint yet that it" in client.get(reverse("runs:new")).text


def test_a_network_s_own_settings_are_called_by_their_titles(
    client: Client, cast: Cast, images: Any
) -> None:
    form = form_of(cast, how="scratch", data=str(images.pk))
    run = services.run_create(name="", spec=form.validate(), owner=cast.alice, team=cast.team)
    client.force_login(cast.alice)
    page = client.get(reverse("runs:detail", args=[run.pk])).text
    assert "Width of a group" in page
    assert ">model.group_width<" not in page


def test_pasted_yaml_of_the_other_method_brings_its_form(
    client: Client, cast: Cast, images: Any
) -> None:
    client.force_login(cast.alice)
    text = f"method: classification\ndata: {{path: 'store:dataset/{images.pk}'}}\nseed: 5\n"
    page = client.post(
        reverse("runs:new"), {"action": "yaml", "method": "causal_lm", "yaml": text}
    ).text
    assert 'name="method" value="classification"' in page
    assert f'value="{images.pk}" selected' in page


def test_the_report_shows_the_twin_among_what_the_model_must_beat(
    client: Client, cast: Cast, images: Any
) -> None:
    spec = transfer(cast, images, network(cast)).validate()
    run = services.run_create(name="Cats", spec=spec, owner=cast.alice, team=cast.team, twin=True)
    scores = {"pixels": make_scores(0.6), "majority": make_scores(0.5, auc=None)}
    after = {"validation": {"loss": 0.4, "accuracy": 0.8, "examples": 6}, "test": None}
    common = {"after": after, "before": after, "predictions": [], "counts": "examples"}
    for one, accuracy in ((run, 0.75), (run.twin, 0.8)):
        report = make_report(
            scores=scores | {"model": make_scores(accuracy)}, steps=20, tokens=640, **common
        )
        set_state(one, State.SUCCEEDED, report=report)
    client.force_login(cast.alice)
    page = client.get(reverse("runs:report", args=[run.pk])).text
    assert "the scratch twin" in page
    assert page.count("at least as good") == 1
    assert "It adds nothing here: it is right in 75.0% of the examples" in page
    assert "good &lt;b&gt;" in page
    assert "loss per example" in page
    assert "perplexity" not in page
    assert "Examples seen" in page
