from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from training.spec import CopySpec
from webapp.checkpoints.models import Checkpoint, CheckpointImport


def _url(checkpoint: Checkpoint) -> str:
    return f"/checkpoints/{checkpoint.pk}/copy"


DEEPER = {"name": "Deep", "n_layer": 3, "n_positions": 32, "reinitialise": "", "seed": 5}


def test_the_page_opens_on_the_source_s_own_shape(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    preview = client.get(_url(checkpoint)).context["preview"]
    assert preview.percent == 100
    assert preview.left_behind == []


def test_the_plan_follows_what_is_typed(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.get(_url(checkpoint), DEEPER, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "<html" not in page
    assert 'id="plan"' in page
    shares = {block.title: block.percent for block in answer.context["preview"].blocks}
    assert shares["Layer 1"] == 100
    assert shares["Layer 2"] == 0
    assert "The source has 2 layers; this one is new." in page


def test_it_becomes_a_job_with_a_frozen_spec(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.bob)
    answer = client.post(_url(checkpoint), DEEPER | {"reinitialise": "h.0.*\n*.mlp.*"})
    row = CheckpointImport.objects.get()
    assert answer["Location"] == f"/checkpoints/import/{row.pk}"
    assert (row.name, row.origin, row.source, row.owner) == ("Deep", "copied", checkpoint, cast.bob)
    assert (row.job.kind, row.job.queue) == ("copy", "io")
    spec = CopySpec.model_validate(row.job.spec)
    assert spec.model is not None
    assert (spec.model.n_layer, spec.model.n_positions, spec.seed) == (3, 32, 5)
    assert (spec.model.n_embd, spec.model.vocab_size) == (8, 300)
    assert spec.source.checkpoint == f"store:checkpoint/{checkpoint.pk}"
    assert spec.source.reinitialise == ["h.0.*", "*.mlp.*"]


def test_a_pattern_that_matches_nothing_is_said_at_its_field(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.post(_url(checkpoint), DEEPER | {"reinitialise": "h.9.*"})
    assert answer.status_code == 422
    assert "h.9.*" in answer.context["form"].errors["reinitialise"][0]
    assert not CheckpointImport.objects.exists()


def test_out_of_range_is_said_at_the_field(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.post(_url(checkpoint), DEEPER | {"n_layer": 0, "n_positions": 99_999})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"n_layer", "n_positions"}


def test_a_viewer_may_not(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.vera)
    assert client.get(_url(checkpoint)).status_code == 403
    assert client.post(_url(checkpoint), DEEPER).status_code == 403
