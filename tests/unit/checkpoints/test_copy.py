"""The page that plans a copy, keeps plans, and starts the job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from training.spec import CopySpec
from training.weights.plan import Plan
from webapp import storage
from webapp.checkpoints.models import Checkpoint, CheckpointImport, TransferPlan

DEEPER: dict[str, Any] = {"name": "Deep", "n_layer": 3, "n_positions": 32, "seed": 5}


def _url(checkpoint: Checkpoint, more: str = "") -> str:
    return f"/checkpoints/{checkpoint.pk}/copy{more}"


@pytest.fixture
def source(cast: Cast, client: Client) -> Checkpoint:
    client.force_login(cast.alice)
    return make_checkpoint(cast)


def test_the_page_opens_on_the_source_s_own_shape(client: Client, source: Checkpoint) -> None:
    preview = client.get(_url(source)).context["preview"]
    assert preview.percent == 100
    assert preview.left_behind == []
    assert {kind for _path, kind in preview.drawing.bands} == {"whole"}


def test_the_plan_follows_what_is_typed(client: Client, source: Checkpoint) -> None:
    answer = client.get(_url(source), DEEPER, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "<html" not in page
    assert 'id="plan"' in page
    blocks = {block.title: block for block in answer.context["preview"].blocks}
    assert (blocks["Layer 1"].percent, blocks["Layer 1"].sources) == (100, ("layer.1",))
    assert (blocks["Layer 2"].percent, blocks["Layer 2"].kind) == (0, "new")
    assert "The source has 2 layers; this one is new." in page


def test_one_rule_redraws_the_plan(client: Client, source: Checkpoint) -> None:
    answer = client.get(_url(source), DEEPER | {"rules": "layer.{i} -> layer.{2i}"})
    blocks = {block.name: block for block in answer.context["preview"].blocks}
    assert blocks["layer.2"].sources == ("layer.1",)
    assert blocks["layer.1"].percent == 0
    assert "Your rule: layer.{i} -&gt; layer.{2i}." in answer.content.decode()


def test_it_becomes_a_job_with_a_frozen_spec_and_a_comparison_after_it(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    client.force_login(cast.bob)
    typed = DEEPER | {"rules": "skip h.0.*\n\nfreeze embeddings", "new_layers": "identity"}
    answer = client.post(_url(source), typed)
    row = CheckpointImport.objects.get()
    assert answer["Location"] == f"/checkpoints/import/{row.pk}"
    assert (row.name, row.origin, row.source, row.owner) == ("Deep", "copied", source, cast.bob)
    assert (row.job.kind, row.job.queue) == ("copy", "io")
    spec = CopySpec.model_validate(row.job.spec)
    assert spec.model is not None
    assert spec.model.model_dump() == source.config | {"n_layer": 3, "n_positions": 32}
    assert spec.seed == 5
    assert spec.source.checkpoint == f"store:checkpoint/{source.pk}"
    assert spec.settings.rules == ["skip h.0.*", "freeze embeddings"]
    assert spec.settings.new_layers == "identity"
    assert row.probe_job is not None
    assert (row.probe_job.kind, row.probe_job.state) == ("probe", "waiting")
    assert list(row.probe_job.after.all()) == [row.job]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("skip h.9.*", "skip h.9.* matches nothing"),
        ("copy everything", "This is no rule: copy everything"),
        ("layer.0 -> layer.1\nlayer.1 -> layer.1", "two sources"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_said_at_its_field(
    client: Client, source: Checkpoint, rules: str, said: str
) -> None:
    answer = client.post(_url(source), DEEPER | {"rules": rules})
    assert answer.status_code == 422
    assert said in answer.context["form"].errors["rules"][0]
    assert rules.splitlines()[0].replace(">", "&gt;") in answer.content.decode()
    assert not CheckpointImport.objects.exists()


def test_out_of_range_is_said_at_the_field(client: Client, source: Checkpoint) -> None:
    answer = client.post(_url(source), DEEPER | {"n_layer": 0, "n_positions": 99_999})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"n_layer", "n_positions"}


def test_a_contradiction_is_said_at_the_field(client: Client, source: Checkpoint) -> None:
    answer = client.post(_url(source), DEEPER | {"n_head": 3})
    assert answer.status_code == 422
    assert "multiple of the number of heads (3)" in answer.context["form"].errors["n_embd"][0]


def test_another_vocabulary_goes_by_token(client: Client, cast: Cast, source: Checkpoint) -> None:
    def with_words(checkpoint: Checkpoint, *words: str) -> Checkpoint:
        content = json.dumps({word: number for number, word in enumerate(words)})
        path = storage_folder / f"{checkpoint.pk}.json"
        path.write_text(content)
        stored = storage.store_file(path)
        checkpoint.manifest["vocab.json"] = {"sha256": stored.sha256, "size": stored.size}
        checkpoint.save()
        return checkpoint

    from django.conf import settings

    storage_folder = settings.DATA_DIR
    storage_folder.mkdir(parents=True, exist_ok=True)
    with_words(source, "a", "b", "c")
    other = with_words(make_checkpoint(cast, name="Other words"), "b", "d", "a", "e")
    answer = client.get(_url(source), {"tokenizer": f"checkpoint/{other.pk}"})
    rows = {row.target: row for row in answer.context["preview"].plan.rows}
    assert rows["transformer.wte.weight"].action == "map_tokens"
    assert rows["transformer.wte.weight"].shape[0] == 4
    assert "50 % of the new vocabulary" in answer.content.decode()

    client.post(_url(source), {"tokenizer": f"checkpoint/{other.pk}", "name": "Other"})
    row = CheckpointImport.objects.get()
    assert row.job.spec["tokenizer"]["checkpoint"] == f"store:checkpoint/{other.pk}"
    assert row.probe_job is None  # the two cannot be given the same text


def test_a_vocabulary_of_another_team_cannot_be_chosen(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    theirs = make_checkpoint(cast, owner=cast.mallory, team=cast.other_team)
    answer = client.post(_url(source), DEEPER | {"tokenizer": f"checkpoint/{theirs.pk}"})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"tokenizer"}


def test_a_plan_is_kept_used_again_and_forgotten(client: Client, source: Checkpoint) -> None:
    typed = DEEPER | {"rules": "skip h.0.*", "action": "keep", "plan_name": "Without the first"}
    answer = client.post(_url(source), typed)
    plan = TransferPlan.objects.get()
    assert answer["Location"] == _url(source, f"?plan={plan.pk}")
    assert (plan.name, plan.architecture) == ("Without the first", "gpt2")
    assert not CheckpointImport.objects.exists()

    again = client.get(_url(source, f"?plan={plan.pk}"))
    assert again.context["kept"] == plan
    assert again.context["form"]["rules"].value() == "skip h.0.*"
    assert again.context["form"]["n_layer"].value() == "3"

    client.post(_url(source, f"/plans/{plan.pk}/delete"))
    assert not TransferPlan.objects.exists()


def test_the_plan_is_exported_as_json(client: Client, source: Checkpoint) -> None:
    answer = client.get(_url(source, "/plan.json"), DEEPER)
    assert answer["Content-Disposition"] == 'attachment; filename="plan.json"'
    content = answer.json()
    assert content["source"] == source.weights_sha256
    assert Plan.from_json(content["plan"]).counts()["copied"] > 0
    assert client.get(_url(source, "/plan.json"), DEEPER | {"n_layer": 0}).status_code == 422


def test_a_viewer_may_not(client: Client, cast: Cast, source: Checkpoint) -> None:
    client.force_login(cast.vera)
    assert client.get(_url(source)).status_code == 403
    assert client.post(_url(source), DEEPER).status_code == 403


def test_another_team_s_plan_is_not_there(client: Client, cast: Cast, source: Checkpoint) -> None:
    client.post(_url(source), DEEPER | {"action": "keep"})
    plan = TransferPlan.objects.get()
    client.force_login(cast.mallory)
    assert client.post(_url(source, f"/plans/{plan.pk}/delete")).status_code == 404
