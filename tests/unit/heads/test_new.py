"""The form of a new head."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast, make_version
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_images, make_labelled, make_numbered
from tests.factories.heads import make_head
from training.backbones.contract import BackboneConfig
from training.backbones.resnet.config import ResNetConfig
from training.backbones.vit.config import ViTConfig
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from webapp.accounts.models import AuditEvent
from webapp.heads.models import Head

URL = "/heads/new"


def fields(cast: Cast, **changed: Any) -> dict[str, Any]:
    return {
        "checkpoint": str(make_checkpoint(cast, name="Whale").pk),
        "version": str(make_labelled(cast).pk),
        "pooling": "last",
        "head": "linear",
        "examples": "",
        "control": "on",
        "name": "",
        "most_tokens": "",
        "image_px": "",
        "normalisation": "auto",
        "batch_size": "32",
        "seed": "0",
    } | changed


def test_a_form_becomes_a_job_with_a_frozen_spec(alice: Client, cast: Cast) -> None:
    typed = fields(cast, examples="40", head="knn", seed="7")
    answer = alice.post(URL, typed)
    head = Head.objects.get()
    assert answer["Location"] == f"/heads/{head.pk}"
    assert (head.name, head.owner, head.team) == ("Whale → Reviews", cast.alice, cast.team)
    assert (head.job.kind, head.job.queue, head.job.state) == ("head", "cpu", "queued")
    spec = FrozenFeaturesSpec.model_validate(head.job.spec)
    assert spec.data.path == f"store:dataset/{typed['version']}"
    assert spec.source.checkpoint == f"store:checkpoint/{typed['checkpoint']}"
    assert (spec.pooling, spec.head, spec.examples, spec.seed) == ("last", "knn", 40, 7)
    assert spec.control
    assert spec.most_tokens is None
    event = AuditEvent.objects.get(action="head.create")
    assert (event.actor, event.object_id) == (cast.alice, str(head.pk))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("examples", "1", "Must be 2 or more."),
        ("batch_size", "0", "Must be 1 or more."),
        ("seed", "-1", "Must be 0 or more."),
        ("pooling", "first", "the first token looks at nothing but itself"),
        ("pooling", "sum", "not one of the available choices"),
        ("pooling", "adaptive_max", "has nothing to pool that way"),
        ("image_px", "3", "Must be 16 or more."),
        ("head", "knn", "learned together with a linear probe"),
        ("head", "forest", "not one of the available choices"),
        ("most_tokens", "x", "Enter a whole number"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    alice: Client, cast: Cast, field: str, value: str, sentence: str
) -> None:
    asked = {"pooling": "attention"} if value == "knn" else {}
    answer = alice.post(URL, fields(cast, name="My probe", **asked | {field: value}))
    assert answer.status_code == 422
    assert sentence in " ".join(answer.context["form"].errors[field])
    assert 'value="My probe"' in answer.content.decode()
    assert not Head.objects.exists()


def test_fewer_examples_than_classes_are_refused(alice: Client, cast: Cast) -> None:
    version = make_labelled(cast, name="Of seven classes")
    classes = [{"name": f"c{n}", "train": 9, "validation": 1, "test": 1} for n in range(7)]
    version.summary["labels"] = version.summary["labels"] | {"classes": classes}
    version.save()
    answer = alice.post(URL, fields(cast, version=str(version.pk), examples="6"))
    assert "There are 7 classes" in " ".join(answer.context["form"].errors["examples"])


def test_only_what_fits_is_offered(alice: Client, cast: Cast) -> None:
    make_version(cast, name="Without labels")
    make_labelled(cast, name="Mine")
    make_labelled(cast, name="Not ready", state="queued", sha256="")
    make_labelled(cast, name="Theirs", team=cast.other_team, owner=cast.mallory)
    make_checkpoint(cast, name="Ours")
    make_checkpoint(cast, name="Foreign", team=cast.other_team, owner=cast.mallory)
    page = alice.get(URL).content.decode()
    for there in ("Mine v1", "Ours · GPT-2"):
        assert there in page
    for not_there in ("Without labels", "Not ready", "Theirs", "Foreign"):
        assert not_there not in page


def test_data_with_numbers_are_offered_and_say_which(alice: Client, cast: Cast) -> None:
    make_numbered(cast, name="Stars")
    assert "Stars v1 · texts, a number each (rating)" in alice.get(URL).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("head", "prototype", "these labels are numbers"),
        ("pooling", "attention", "learned together with classes"),
    ],
)
def test_what_needs_classes_is_refused_for_numbers(
    alice: Client, cast: Cast, field: str, value: str, sentence: str
) -> None:
    version = str(make_numbered(cast).pk)
    answer = alice.post(URL, fields(cast, version=version) | {field: value})
    assert sentence in " ".join(answer.context["form"].errors[field])
    assert not Head.objects.exists()


def test_of_numbers_two_examples_are_enough(alice: Client, cast: Cast) -> None:
    answer = alice.post(URL, fields(cast, version=str(make_numbered(cast).pk), examples="2"))
    assert answer["Location"] == f"/heads/{Head.objects.get().pk}"


def test_a_head_from_before_is_fitted_again_under_today_s_name(alice: Client, cast: Cast) -> None:
    head = make_head(cast)
    head.job.spec["head"] = "logistic"
    head.job.save()
    assert alice.get(URL, {"like": str(head.pk)}).context["form"].initial["head"] == "linear"


def test_an_empty_portal_says_what_is_missing(alice: Client) -> None:
    page = alice.get(URL).content.decode()
    assert "no checkpoint yet" in page
    assert "no labelled data yet" in page


def test_links_fill_the_form_in(alice: Client, cast: Cast) -> None:
    head = make_head(cast, spec={"pooling": "last", "head": "mlp", "examples": 30, "seed": 3})
    form = alice.get(URL, {"like": str(head.pk)}).context["form"]
    assert form.initial["checkpoint"] == head.checkpoint_id
    assert form.initial["version"] == head.dataset_version_id
    assert (form.initial["head"], form.initial["examples"], form.initial["seed"]) == ("mlp", 30, 3)
    form = alice.get(URL, {"data": str(head.dataset_version_id), "checkpoint": "x"}).context["form"]
    assert form.initial == {"version": head.dataset_version_id}


def test_another_team_s_objects_cannot_be_named(alice: Client, cast: Cast) -> None:
    theirs = make_head(cast, team=cast.other_team, owner=cast.mallory)
    answer = alice.post(
        URL,
        fields(cast, checkpoint=str(theirs.checkpoint_id), version=str(theirs.dataset_version_id)),
    )
    assert set(answer.context["form"].errors) == {"checkpoint", "version"}
    assert alice.get(URL, {"like": str(theirs.pk)}).status_code == 404


def test_who_may_only_look_gets_no_form(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert client.get(URL).status_code == 403
    assert client.post(URL, fields(cast)).status_code == 403
    assert not Head.objects.exists()


def test_an_image_network_is_fitted_to_images_and_a_language_model_is_not(
    alice: Client, cast: Cast, tmp_path: Path
) -> None:
    images = make_images(cast, folder=tmp_path)
    network = make_checkpoint(cast, name="Eyes", config=ResNetConfig(depths=[1]))
    typed = fields(cast, version=str(images.pk), pooling="adaptive_max", image_px="64")
    answer = alice.post(URL, typed)
    assert "reads no" not in str(answer.context["form"].errors)
    assert "sees no images" in " ".join(answer.context["form"].errors["version"])
    answer = alice.post(URL, typed | {"checkpoint": str(network.pk), "normalisation": "inception"})
    spec = FrozenFeaturesSpec.model_validate(Head.objects.get().job.spec)
    assert (spec.pooling, spec.image_px, spec.normalisation) == ("adaptive_max", 64, "inception")
    assert "images, 2 classes" in alice.get(URL).content.decode()


@pytest.mark.parametrize(
    ("config", "asked", "field", "sentence"),
    [
        (ResNetConfig(depths=[1]), {"pooling": "last"}, "pooling", "nothing to pool that way"),
        (ResNetConfig(depths=[1]), {"pooling": "first"}, "pooling", "has no class token"),
        (ViTConfig(depth=1), {"image_px": "96"}, "image_px", "224 × 224 pixels and no others"),
    ],
)
def test_what_an_image_network_does_not_have_is_said(
    alice: Client,
    cast: Cast,
    tmp_path: Path,
    config: BackboneConfig,
    asked: dict[str, str],
    field: str,
    sentence: str,
) -> None:
    network = make_checkpoint(cast, config=config)
    images = make_images(cast, folder=tmp_path)
    typed = fields(cast, checkpoint=str(network.pk), version=str(images.pk), pooling="mean")
    answer = alice.post(URL, typed | asked)
    assert sentence in " ".join(answer.context["form"].errors[field])
