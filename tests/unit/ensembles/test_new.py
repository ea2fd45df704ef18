"""The form of a new ensemble, and of one that is judged."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_labelled, make_version
from tests.factories.ensembles import NAMES, make_classifier, make_ensemble
from training.backbones.conditional_vae.config import PRESETS as MAKERS
from training.backbones.resnet.config import PRESETS as RESNETS
from training.ensembles.spec import EnsembleSpec
from training.methods.task_related.ensemble import METHOD
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.models import Checkpoint
from webapp.ensembles import selectors
from webapp.ensembles.models import Ensemble

URL = "/ensembles/new"


def fields(version: Any, *members: Checkpoint, **changed: Any) -> dict[str, Any]:
    return {
        "version": str(version.pk),
        "members": [str(one.pk) for one in members],
        "combination": "mean",
        "name": "",
        "image_px": "",
        "most_tokens": "128",
        "batch_size": "64",
        "seed": "0",
    } | changed


@pytest.fixture
def version(cast: Cast) -> Any:
    return make_labelled(cast)


@pytest.fixture
def pair(cast: Cast) -> list[Checkpoint]:
    """Two that know the same classes, in another order."""
    return [make_classifier(cast, name="One"), make_classifier(cast, NAMES[::-1], name="Two")]


def test_a_form_becomes_a_job_with_a_frozen_spec(
    alice: Client, cast: Cast, version: Any, pair: list[Checkpoint]
) -> None:
    answer = alice.post(URL, fields(version, *pair, combination="stacking", seed="7"))
    row = Ensemble.objects.get()
    assert answer["Location"] == f"/ensembles/{row.pk}"
    assert (row.name, row.owner, row.team) == ("Reviews, ensemble", cast.alice, cast.team)
    assert (row.job.kind, row.job.queue, row.job.state) == ("ensemble", "cpu", "queued")
    spec = EnsembleSpec.model_validate(row.job.spec)
    assert spec.data.path == f"store:dataset/{version.pk}"
    assert [one.checkpoint for one in spec.members] == [
        f"store:checkpoint/{one.pk}" for one in pair
    ]
    assert (spec.combination, spec.seed, spec.image_px) == ("stacking", 7, None)
    assert set(row.members.all()) == set(pair)
    event = AuditEvent.objects.get(action="ensemble.create")
    assert (event.actor, event.object_id) == (cast.alice, str(row.pk))


def test_what_members_learned_from_elsewhere_goes_along(
    alice: Client, cast: Cast, version: Any
) -> None:
    """Of the member, and of what it came from; the very data that it is judged on do not."""
    older, other = make_labelled(cast, name="Older"), make_labelled(cast, name="Other")
    source = make_classifier(cast, dataset_version=older)
    tuned = make_classifier(cast, dataset_version=other, parents=[source])
    own = make_classifier(cast, dataset_version=version)
    soup = make_classifier(cast, parents=[own])
    alice.post(URL, fields(version, tuned, own, soup))
    first, second, third = EnsembleSpec.model_validate(Ensemble.objects.get().job.spec).members
    assert set(first.trained_on) == {f"store:dataset/{older.pk}", f"store:dataset/{other.pk}"}
    assert second.trained_on == []
    # What was merged from such has no data of its own, and is looked through by content.
    assert third.trained_on == [f"store:dataset/{version.pk}"]


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"members": []}, "members", "An ensemble takes two members or more."),
        ({"version": ""}, "version", "This field is required."),
        ({"combination": "vote"}, "combination", "Select a valid choice."),
        ({"image_px": "3"}, "image_px", "Must be 16 or more."),
        ({"seed": "-1"}, "seed", "greater than or equal to 0"),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(
    alice: Client,
    version: Any,
    pair: list[Checkpoint],
    changed: dict[str, Any],
    field: str,
    sentence: str,
) -> None:
    answer = alice.post(URL, fields(version, *pair, name="My words") | changed)
    assert answer.status_code == 422
    assert sentence in str(answer.context["form"].errors[field])
    assert 'value="My words"' in answer.content.decode()
    assert not Ensemble.objects.exists()


def test_one_member_is_no_ensemble(alice: Client, version: Any, pair: list[Checkpoint]) -> None:
    answer = alice.post(URL, fields(version, pair[0]))
    assert "An ensemble takes two members or more." in answer.content.decode()


def test_members_that_know_other_classes_are_named_with_them(
    alice: Client, cast: Cast, version: Any, pair: list[Checkpoint]
) -> None:
    other = make_classifier(cast, ["good <b>", "fair"], name="Third")
    answer = alice.post(URL, fields(version, pair[0], other))
    assert answer.status_code == 422
    (said,) = answer.context["form"].errors["members"]
    assert said == (
        "Third: it tells other classes apart than the data. Only the member knows: fair. Only the "
        "data have: bad."
    )


def test_a_network_of_images_reads_no_texts(
    alice: Client, cast: Cast, version: Any, pair: list[Checkpoint]
) -> None:
    config = RESNETS["nano"].model_copy(update={"num_classes": 2})
    eyes = make_checkpoint(cast, name="Eyes", config=config)
    card = eyes.card | {"classes": NAMES}
    Checkpoint.objects.filter(pk=eyes.pk).update(card=card)
    answer = alice.post(URL, fields(version, pair[0], eyes))
    (said,) = answer.context["form"].errors["members"]
    assert said == "Eyes: a ResNet and ResNeXt model does not read this kind of data."


def test_what_is_fitted_needs_a_test_split(
    alice: Client, cast: Cast, pair: list[Checkpoint]
) -> None:
    version = make_labelled(cast, name="Short")
    version.summary["splits"] = {"train": {}, "validation": {}}
    version.save()
    answer = alice.post(URL, fields(version, *pair, combination="weights"))
    assert "must be judged on a test split" in str(answer.context["form"].errors["combination"])
    assert alice.post(URL, fields(version, *pair)).status_code == 302


def test_checkpoints_of_another_team_are_no_members(
    alice: Client, cast: Cast, version: Any, pair: list[Checkpoint]
) -> None:
    foreign = make_classifier(cast, team=cast.other_team, owner=cast.mallory)
    answer = alice.post(URL, fields(version, pair[0], foreign))
    assert answer.status_code == 422
    assert "no longer there" in str(answer.context["form"].errors["members"])
    assert alice.get(URL, {"members": str(foreign.pk)}).status_code == 404


def test_only_what_goes_with_the_data_is_offered(
    alice: Client, cast: Cast, version: Any, pair: list[Checkpoint]
) -> None:
    make_classifier(cast, ["good <b>", "fair"], name="Third")
    make_checkpoint(cast, name="Writer")
    answer = alice.get(URL, {"version": str(version.pk)})
    assert {one.checkpoint.name for one in answer.context["form"].offered} == {"One", "Two"}
    fragment = alice.get(URL, {"version": str(version.pk)}, headers={"HX-Request": "true"})
    assert fragment.content.decode().lstrip().startswith('<section class="panel" id="members"')


def test_a_link_brings_a_member_and_its_data(alice: Client, cast: Cast, version: Any) -> None:
    one = make_classifier(cast, dataset_version=version)
    form = alice.get(URL, {"members": str(one.pk)}).context["form"]
    assert form.chosen == {str(one.pk)}
    assert form.chosen_version == version


def test_another_combination_begins_with_the_same_members(alice: Client, cast: Cast) -> None:
    row = make_ensemble(cast, spec={"combination": "logits", "seed": 5})
    form = alice.get(URL, {"like": str(row.pk)}).context["form"]
    assert form.chosen == {str(one.pk) for one in row.members.all()}
    assert (form["combination"].value(), form["seed"].value()) == ("logits", 5)


def test_who_may_only_read_makes_none(
    client: Client, cast: Cast, version: Any, pair: list[Checkpoint]
) -> None:
    client.force_login(cast.vera)
    assert client.post(URL, fields(version, *pair)).status_code == 403
    assert not Ensemble.objects.exists()


# --- judged on other data -------------------------------------------------------------------------


def made(cast: Cast, **fields: Any) -> Checkpoint:
    """An ensemble's checkpoint."""
    members = [make_classifier(cast), make_classifier(cast)]
    config = {
        "architecture": "ensemble",
        "kind": "text",
        "classes": NAMES[::-1],
        "combination": "mean",
        "chosen": 0.0,
        "target": "",
        "members": [{"weights_sha256": one.weights_sha256} for one in members],
    }
    found = make_checkpoint(cast, name="Both", parents=members, **fields)
    Checkpoint.objects.filter(pk=found.pk).update(architecture="ensemble", config=config)
    found.refresh_from_db()
    return found


def test_an_ensemble_is_judged_on_data_with_its_classes(
    alice: Client, cast: Cast, version: Any
) -> None:
    make_version(cast, name="Without labels")
    checkpoint = made(cast)
    url = f"/ensembles/judge/{checkpoint.pk}"
    form = alice.get(url).context["form"]
    assert list(form.fields["version"].queryset) == [version]
    answer = alice.post(url, {"version": str(version.pk)})
    row = Ensemble.objects.get()
    assert answer["Location"] == f"/ensembles/{row.pk}"
    spec = EnsembleSpec.model_validate(row.job.spec)
    assert spec.checkpoint == f"store:checkpoint/{checkpoint.pk}"
    assert spec.members == []
    assert (row.judged, row.members.count()) == (checkpoint, 2)
    assert AuditEvent.objects.filter(action="ensemble.judge").exists()


def test_only_ensembles_of_the_team_are_judged(alice: Client, cast: Cast, version: Any) -> None:
    plain = make_classifier(cast)
    foreign = made(cast, team=cast.other_team, owner=cast.mallory)
    for one in (plain, foreign):
        assert alice.get(f"/ensembles/judge/{one.pk}").status_code == 404
        answer = alice.post(f"/ensembles/judge/{one.pk}", {"version": str(version.pk)})
        assert answer.status_code == 404


def test_the_checkpoint_says_what_can_be_done_with_it(alice: Client, cast: Cast) -> None:
    checkpoint = made(cast)
    page = alice.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert f"/ensembles/judge/{checkpoint.pk}" in page
    assert "Several classifiers that answer as one:" in page
    for gone in (
        "Use as source",
        "Merge with…",
        "Fit a head",
        f"/checkpoints/{checkpoint.pk}/export",
    ):
        assert gone not in page
    member = checkpoint.parents.first()
    assert (
        f"/ensembles/new?members={member.pk}"
        in alice.get(f"/checkpoints/{member.pk}").content.decode()
    )


def test_what_makes_images_of_classes_is_no_classifier(alice: Client, cast: Cast) -> None:
    """Its card has as many names of classes as its model has rows."""
    config = MAKERS["nano"].model_copy(update={"num_classes": 2})
    maker = make_checkpoint(cast, name="Maker", config=config)
    Checkpoint.objects.filter(pk=maker.pk).update(card=maker.card | {"classes": NAMES})
    page = alice.get(f"/checkpoints/{maker.pk}").content.decode()
    assert "Ensemble with…" not in page
    maker.refresh_from_db()
    assert selectors.as_classifier(maker) is None
    assert "conditional_gan" not in METHOD.backbones
    assert "multi_task" not in METHOD.backbones


def test_an_ensemble_is_compared_with_others_without_its_tensors(alice: Client, cast: Cast) -> None:
    checkpoint, other = made(cast), make_classifier(cast)
    answer = alice.get("/checkpoints/compare", {"ids": [str(checkpoint.pk), str(other.pk)]})
    assert answer.status_code == 200
    for page in ("/checkpoints/", f"/checkpoints/{checkpoint.pk}/export", "/runs/new"):
        assert alice.get(page).status_code == 200
    assert alice.get(f"/checkpoints/{checkpoint.pk}/copy").status_code == 404
    assert alice.get("/checkpoints/merge", {"ids": str(checkpoint.pk)}).status_code == 404
