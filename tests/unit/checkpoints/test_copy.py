"""The page that plans a copy, keeps plans, and starts the job."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import TINY, make_checkpoint, make_import, promote
from tests.factories.jobs import make_job
from tests.parity.text import word_pieces
from training.backbones.registry import BACKBONES
from training.command_specs import CopySpec
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizer import Tokenizer
from training.weights.plan import Plan
from webapp import storage
from webapp.checkpoints.models import Checkpoint, CheckpointImport, TransferPlan
from webapp.checkpoints.plans import COPY_ARRAYS, COPY_PROCESS_BYTES
from webapp.jobs.models import Job, State

TOKENIZER = Tokenizer.train(["so it goes, and so it went"] * 3, 270)
#: A model with a row for each of its tokens, and one with a layer more than the others have.
READABLE = TINY.model_copy(update={"vocab_size": TOKENIZER.size})
DEEP = TINY.model_copy(update={"vocab_size": 4, "n_layer": 3})
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


def test_disk_memory_and_time_are_told_before_anything_runs(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    answer = client.get(_url(source))
    assert answer.context["outlook"] == {
        "bytes": 4 * TINY.parameter_count(),
        "memory": COPY_PROCESS_BYTES,
        "seconds": 1.0,
    }
    assert "16.8 KiB on disk, about 150.0 MiB of memory, about 0:01" in answer.content.decode()
    # A tensor that is computed is held, and so is what it is made of.
    wider = client.get(_url(source), {"n_embd": 16, "width": "grow"}).context["outlook"]
    assert wider["memory"] == COPY_PROCESS_BYTES + COPY_ARRAYS * 4 * 300 * 16
    wide = make_checkpoint(cast, config=TINY.model_copy(update={"n_embd": 16}))
    narrower = client.get(_url(wide), {"n_embd": 8, "width": "cut"}).context["outlook"]
    assert narrower["memory"] == COPY_PROCESS_BYTES + COPY_ARRAYS * 4 * 300 * 16


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


def with_words(checkpoint: Checkpoint, *words: str, kind: str = "BPE") -> Checkpoint:
    """The same with a vocabulary of these words."""
    path = settings.DATA_DIR / f"{checkpoint.pk}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    model = {"type": kind, "vocab": {word: number for number, word in enumerate(words)}}
    path.write_text(json.dumps({"model": model, "added_tokens": []}))
    stored = storage.store_file(path)
    checkpoint.manifest["tokenizer.json"] = {"blake3": stored.blake3, "size": stored.size}
    checkpoint.save()
    return checkpoint


def readable(checkpoint: Checkpoint, tokenizer: TextTokenizer = TOKENIZER) -> Checkpoint:
    """The same with a tokenizer that can be read."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder), 16)
        checkpoint.manifest |= storage.store_folder(Path(folder))
    checkpoint.save()
    return checkpoint


def test_another_vocabulary_goes_by_token(client: Client, cast: Cast, source: Checkpoint) -> None:
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


def offered(client: Client, source: Checkpoint) -> list[str]:
    """The vocabularies that can be chosen."""
    form = client.get(_url(source)).context["form"]
    return [value for value, _title in form.fields["tokenizer"].choices]


def test_vocabularies_that_are_the_same_missing_or_archived_are_not_offered(
    client: Client, cast: Cast, source: Checkpoint, django_assert_max_num_queries: Any
) -> None:
    with_words(source, "a", "b")
    with_words(make_checkpoint(cast, name="Same"), "a", "b")
    make_checkpoint(cast, name="None")
    old = with_words(make_checkpoint(cast, name="Old"), "c")
    promote(old, cast.alice, "archived")
    other = with_words(make_checkpoint(cast, name="Other"), "d")
    assert offered(client, source) == ["source", "gpt2", f"checkpoint/{other.pk}"]
    with django_assert_max_num_queries(30) as queries:
        client.get(_url(source))
    loaded = [query for query in queries if ', "checkpoints_checkpoint"."manifest"' in query["sql"]]
    assert len(loaded) == 1  # the source's own


def test_gpt2_s_tokenizer_is_offered_only_where_it_can_be_read_back(
    client: Client, cast: Cast
) -> None:
    client.force_login(cast.alice)
    assert "gpt2" in offered(client, with_words(make_checkpoint(cast), "a"))
    for architecture in ("roberta", "opt"):
        config = next(iter(BACKBONES[architecture].presets.values()))
        other = with_words(make_checkpoint(cast, config=config), "a")
        assert offered(client, other) == ["source"]


@pytest.mark.parametrize("whose", ["source", "other"])
def test_a_vocabulary_that_cannot_be_read_is_said_at_its_field(
    client: Client, cast: Cast, source: Checkpoint, whose: str
) -> None:
    with_words(source, "a")
    other = with_words(make_checkpoint(cast, name="Other"), "b")
    bad = {"source": source, "other": other}[whose]
    bad.manifest["tokenizer.json"] |= {"size": 2**30}
    bad.save()
    answer = client.get(_url(source), {"tokenizer": f"checkpoint/{other.pk}"})
    assert bad.name in answer.context["form"].errors["tokenizer"][0]
    assert answer.context["preview"] is None


def test_one_that_cannot_be_read_is_said_at_the_model_that_it_comes_with(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    with_words(source, "a")
    other = make_checkpoint(cast, name="Other")  # without a tokenizer
    answer = client.post(_url(source), {"into": f"checkpoint/{other.pk}", "name": "Both"})
    assert answer.status_code == 422
    assert "Other" in answer.context["form"].errors["into"][0]


def test_one_that_is_not_in_the_store_is_said_before_another_architecture_takes_it(
    client: Client, source: Checkpoint
) -> None:
    with_words(source, "a")
    source.manifest["tokenizer.json"] |= {"blake3": "0" * 64}
    source.save()
    answer = client.get(_url(source), {"into": "new/opt"})
    assert source.name in answer.context["form"].errors["tokenizer"][0]


def test_a_vocabulary_of_another_team_cannot_be_chosen(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    theirs = make_checkpoint(cast, owner=cast.mallory, team=cast.other_team)
    answer = client.post(_url(source), DEEPER | {"tokenizer": f"checkpoint/{theirs.pk}"})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"tokenizer"}


@pytest.mark.parametrize("architecture", ["gpt3", "opt", "bert", "distilbert"])
def test_another_architecture_of_the_same_measures(
    client: Client, cast: Cast, architecture: str
) -> None:
    client.force_login(cast.alice)
    source = readable(make_checkpoint(cast, config=READABLE))
    page = client.get(_url(source), {"into": f"new/{architecture}"})
    form, preview = page.context["form"], page.context["preview"]
    assert form.errors == {}
    assert form.wanted.target.architecture == architecture
    for measure in ("layers", "stream_width", "attention_heads", "context", "vocabulary"):
        assert getattr(form.wanted.target, measure) == getattr(READABLE, measure)
    layers = [block for block in preview.blocks if block.name.startswith("layer.")]
    assert [block.percent for block in layers] == [100, 100]
    title = BACKBONES[architecture].title
    assert f"GPT-2 and {title} are different architectures" in page.content.decode()
    assert f'value="new/{architecture}" selected' in page.content.decode()

    client.post(_url(source), {"into": f"new/{architecture}", "name": "Other"})
    row = CheckpointImport.objects.get()
    spec = CopySpec.model_validate(row.job.spec)
    assert spec.model == form.wanted.target
    assert row.probe_job is None or architecture == "gpt3"
    Job.objects.filter(pk=row.job_id).update(state=State.FAILED)
    again = client.get(_url(source, f"?from={row.pk}")).context["form"]
    assert again["into"].value() == f"new/{architecture}"
    assert again.is_valid()


def test_a_tokenizer_that_the_architecture_cannot_have_is_said_at_its_field(
    client: Client, cast: Cast
) -> None:
    client.force_login(cast.alice)
    source = readable(make_checkpoint(cast, config=READABLE))
    answer = client.post(_url(source), {"into": "new/roberta", "name": "Other"})
    assert answer.status_code == 422
    assert "RoBERTa" in answer.context["form"].errors["tokenizer"][0]
    assert answer.context["form"].errors.keys() == {"tokenizer"}


def test_positions_go_by_the_padding_of_the_tokenizer_that_is_taken_over(
    client: Client, cast: Cast
) -> None:
    client.force_login(cast.alice)
    words = word_pieces(lowercase=True)
    config = BACKBONES["bert"].presets["nano"].model_copy(update={"vocab_size": words.size})
    source = readable(make_checkpoint(cast, config=config), words)
    form = client.get(_url(source), {"into": "new/roberta"}).context["form"]
    assert form.errors == {}
    assert form.wanted.target.pad_token_id == words.special_ids["pad_token_id"] == 0


def test_images_stay_within_their_architecture(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    source = make_checkpoint(cast, config=BACKBONES["vit"].presets["vit_tiny_patch16_224"])
    form = client.get(_url(source)).context["form"]
    assert [key for key, _title in form.fields["into"].choices[0][1]] == ["new/vit"]
    assert client.post(_url(source), {"into": "new/gpt2", "name": "No"}).status_code == 422


def test_a_checkpoint_that_is_there_keeps_what_is_not_copied(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    with_words(source, "a", "b", "c")
    base = with_words(make_checkpoint(cast, name="Base", config=DEEP), "b", "d", "a", "e")
    typed = {"into": f"checkpoint/{base.pk}", "name": "Both", "n_layer": 7}
    page = client.get(_url(source), typed)
    preview = page.context["preview"]
    rows = {row.target: row for row in preview.plan.rows}
    assert rows["transformer.h.0.ln_1.weight"].action == "copy"
    assert rows["transformer.h.2.ln_1.weight"].action == "keep"
    assert rows["transformer.wte.weight"].action == "map_tokens"
    assert "tokenizer" not in page.context["form"].fields
    assert page.context["shape_fields"] == []

    client.post(_url(source), typed)
    row = CheckpointImport.objects.get()
    spec = CopySpec.model_validate(row.job.spec)
    assert (spec.model, spec.base) == (None, f"store:checkpoint/{base.pk}")
    assert (row.source, row.base, row.probe_job) == (source, base, None)
    Job.objects.filter(pk=row.job_id).update(state=State.FAILED)
    again = client.get(_url(source, f"?from={row.pk}")).context["form"]
    assert again["into"].value() == typed["into"]


def test_what_cannot_be_copied_into_is_not_offered(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    theirs = make_checkpoint(cast, owner=cast.mallory, team=cast.other_team)
    old = make_checkpoint(cast, name="Old")
    promote(old, cast.alice, "archived")
    image = make_checkpoint(cast, config=BACKBONES["vit"].presets["vit_tiny_patch16_224"])
    for other in (theirs, old, image, source):
        answer = client.post(_url(source), {"into": f"checkpoint/{other.pk}", "name": "No"})
        assert answer.status_code == 422
        assert answer.context["form"].errors.keys() == {"into"}


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


@pytest.mark.parametrize("name", ["x" * 161, "a\0b"])
def test_a_plan_s_name_that_cannot_be_kept_is_said_at_its_field(
    client: Client, source: Checkpoint, name: str
) -> None:
    answer = client.post(_url(source), DEEPER | {"action": "keep", "plan_name": name})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"plan_name"}
    assert not TransferPlan.objects.exists()


def test_a_plan_s_name_is_still_there_when_something_else_is_wrong(
    client: Client, source: Checkpoint
) -> None:
    typed = DEEPER | {"n_layer": 0, "action": "keep", "plan_name": "Without the first"}
    answer = client.post(_url(source), typed)
    assert answer.status_code == 422
    assert 'value="Without the first"' in answer.content.decode()


def test_enter_keeps_a_plan_that_has_a_name_and_starts_nothing(
    client: Client, source: Checkpoint
) -> None:
    page = client.get(_url(source)).content.decode()
    form = page.split('id="copy"')[1]
    assert 'value="enter"' in form.split("<button")[1].split(">")[0]  # what Enter presses
    named = client.post(_url(source), DEEPER | {"action": "enter", "plan_name": "Mine"})
    assert named["Location"] == _url(source, f"?plan={TransferPlan.objects.get(name='Mine').pk}")
    answer = client.post(_url(source), DEEPER | {"action": "enter", "plan_name": ""})
    assert answer.status_code == 200
    assert answer.context["preview"] is not None
    assert TransferPlan.objects.count() == 1
    assert not CheckpointImport.objects.exists()


def test_a_plan_without_a_name_has_that_of_the_copy(client: Client, source: Checkpoint) -> None:
    client.post(_url(source), DEEPER | {"action": "keep", "plan_name": " "})
    assert TransferPlan.objects.get().name == "Deep"


def test_a_copy_that_failed_gives_back_all_that_was_typed(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    with_words(source, "a")
    other = with_words(make_checkpoint(cast), "b")
    typed = DEEPER | {
        "tokenizer": f"checkpoint/{other.pk}",
        "rules": "skip h.0.*\nfreeze embeddings",
        "layers": "spread",
        "new_layers": "identity",
        "positions": "tile",
        "width": "cut",
        "vocabulary": "random",
    }
    client.post(_url(source), typed)
    row = CheckpointImport.objects.get()
    del row.job.spec["base"]  # as it was before there were any
    Job.objects.filter(pk=row.job_id).update(state=State.FAILED, spec=row.job.spec)
    again = _url(source, f"?from={row.pk}")
    assert f'href="{again}"' in client.get(f"/checkpoints/import/{row.pk}").content.decode()
    form = client.get(again).context["form"]
    assert form.is_valid()
    for name, value in typed.items():
        assert str(form[name].value()) == str(value), name
    client.force_login(cast.mallory)
    assert client.get(again).status_code == 404


def test_the_plan_is_exported_as_json(client: Client, source: Checkpoint) -> None:
    answer = client.post(_url(source), DEEPER | {"action": "json"})
    assert answer["Content-Disposition"] == 'attachment; filename="plan.json"'
    content = answer.json()
    assert content["source"] == source.weights_sha256
    assert Plan.from_json(content["plan"]).counts()["copied"] > 0
    assert content["values"]["n_layer"] == "3"
    assert not CheckpointImport.objects.exists()
    wrong = client.post(_url(source), DEEPER | {"n_layer": 0, "action": "json"})
    assert wrong.status_code == 422
    assert wrong.context["form"].errors.keys() == {"n_layer"}


def test_no_button_puts_the_token_against_forgery_into_an_address(
    client: Client, source: Checkpoint
) -> None:
    page = client.get(_url(source)).content.decode()
    assert "csrfmiddlewaretoken" in page
    assert "formmethod" not in page


def test_a_viewer_may_not(client: Client, cast: Cast, source: Checkpoint) -> None:
    client.force_login(cast.vera)
    assert client.get(_url(source)).status_code == 403
    assert client.post(_url(source), DEEPER).status_code == 403


def test_another_team_s_plan_is_not_there(client: Client, cast: Cast, source: Checkpoint) -> None:
    client.post(_url(source), DEEPER | {"action": "keep"})
    plan = TransferPlan.objects.get()
    client.force_login(cast.mallory)
    assert client.post(_url(source, f"/plans/{plan.pk}/delete")).status_code == 404


def _copied(cast: Cast, source: Checkpoint, **probe: Any) -> Checkpoint:
    """A copy whose comparison with its source is a job of these fields."""
    checkpoint = make_checkpoint(cast, name="Copied", parents=[source])
    checkpoint.card["transfer"] = {"copied": 20, "initialised": 2}
    checkpoint.save()
    make_import(
        cast,
        origin="copied",
        source=source,
        checkpoint=checkpoint,
        job={"kind": "copy", "state": State.SUCCEEDED},
        probe_job=make_job(cast, kind="probe", **probe),
    )
    return checkpoint


FAILED = {"state": State.FAILED, "error_code": "internal"}


def test_a_comparison_that_failed_is_tried_again(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    checkpoint = _copied(cast, source, **FAILED)
    url = f"/checkpoints/{checkpoint.pk}/probe/retry"
    client.force_login(cast.bob)
    assert f'action="{url}"' in client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert client.post(url)["Location"] == f"/checkpoints/{checkpoint.pk}#proof"
    job = checkpoint.imports.get().probe_job
    assert job is not None
    assert (job.state, job.error_code) == (State.QUEUED, "")
    page = client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert "is being found out" in page
    assert url not in page
    assert "It has changed in the meantime" in client.post(url, follow=True).content.decode()


def test_a_comparison_is_tried_again_only_by_members_and_where_there_is_one(
    client: Client, cast: Cast, source: Checkpoint
) -> None:
    checkpoint = _copied(cast, source, **FAILED)
    url = f"/checkpoints/{checkpoint.pk}/probe/retry"
    client.force_login(cast.alice)
    assert client.post(f"/checkpoints/{source.pk}/probe/retry").status_code == 404
    assert client.get(url).status_code == 405
    client.force_login(cast.vera)
    assert client.post(url).status_code == 403
    assert url not in client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    client.force_login(cast.mallory)
    assert client.post(url).status_code == 404
