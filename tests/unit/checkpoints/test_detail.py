from typing import Any

from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint, make_import
from tests.factories.runs import make_run
from training.backbones.bert.config import BertConfig
from webapp.accounts.models import AuditEvent
from webapp.checkpoints.models import Checkpoint

ENCODER = BertConfig(
    vocab_size=300,
    max_position_embeddings=16,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    head="masked_lm",
)


def _get(client: Client, checkpoint: Checkpoint) -> str:
    response = client.get(f"/checkpoints/{checkpoint.pk}")
    assert response.status_code == 200
    return response.content.decode()


def test_another_team_s_checkpoint_is_not_there(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.mallory)
    for path in ("", "/download", "/copy", "/files/config.json"):
        assert client.get(f"/checkpoints/{checkpoint.pk}{path}").status_code == 404, path


def test_an_encoder_offers_only_what_it_can_do(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, config=ENCODER)
    client.force_login(cast.alice)
    page = _get(client, checkpoint)
    for shown in (
        "BERT",
        "2 × 8",
        "BertForMaskedLM.from_pretrained",
        "bert.embeddings.word_embeddings.weight",
    ):
        assert shown in page
    assert f"/runs/new?source={checkpoint.pk}" in page
    assert "/playground/?checkpoint=" not in page
    assert client.get(f"/checkpoints/{checkpoint.pk}/copy").context["preview"].percent == 100
    assert str(checkpoint.pk) not in client.get("/runs/new?method=causal_lm").content.decode()
    assert str(checkpoint.pk) in client.get("/runs/new?method=classification").content.decode()
    assert str(checkpoint.pk) not in client.get("/playground/").content.decode()


def test_it_shows_what_it_is_and_what_one_can_do(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, name="Whale")
    client.force_login(cast.alice)
    page = _get(client, checkpoint)
    assert f"/runs/new?source={checkpoint.pk}" in page
    assert f"/playground/?checkpoint={checkpoint.pk}" in page
    assert f"/checkpoints/{checkpoint.pk}/download" in page
    assert f"/checkpoints/{checkpoint.pk}/copy" in page
    assert checkpoint.weights_sha256 in page
    assert "4.250" in page  # the loss
    assert "70.1" in page  # its perplexity
    assert "transformer.wte.weight" in page  # of the first block; the others open on demand
    assert f"/checkpoints/compare?ids={checkpoint.pk}" in page
    assert "300 × 8" in page
    assert 'from_pretrained("whale")' in page.replace("&quot;", '"')


def test_a_viewer_sees_it_and_changes_nothing(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.vera)
    page = _get(client, checkpoint)
    assert f"/checkpoints/{checkpoint.pk}/copy" not in page
    assert f"/checkpoints/{checkpoint.pk}/describe" not in page
    answer = client.post(f"/checkpoints/{checkpoint.pk}/describe", {"name": "Mine"})
    assert answer.status_code == 403


def test_lineage_goes_both_ways_and_shows_runs_at_work(client: Client, cast: Cast) -> None:
    grandparent = make_checkpoint(cast, name="Grandparent")
    parent = make_checkpoint(cast, name="Parent", parents=[grandparent])
    checkpoint = make_checkpoint(cast, name="Middle", parents=[parent])
    child = make_checkpoint(cast, name="Child", parents=[checkpoint])
    run = make_run(cast, source=checkpoint, name="At work")
    client.force_login(cast.alice)
    page = _get(client, checkpoint)
    for relative in (grandparent, parent, child):
        assert f'href="/checkpoints/{relative.pk}"' in page, relative
    assert f'href="/runs/{run.pk}"' in page


def test_lineage_shows_few_and_counts_the_rest(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    for _ in range(9):
        make_checkpoint(cast, parents=[checkpoint])
    client.force_login(cast.alice)
    page = _get(client, checkpoint)
    assert "3 more are not shown" in page
    assert f"/checkpoints/?source={checkpoint.pk}&amp;stage=all" in page


def test_lineage_counts_only_what_its_link_lists(client: Client, cast: Cast) -> None:
    parents = [make_checkpoint(cast) for _ in range(8)]
    checkpoint = make_checkpoint(cast, parents=parents)
    client.force_login(cast.alice)
    assert "not shown" not in _get(client, checkpoint)


def test_lineage_shows_scores_and_is_a_list_for_phones_too(client: Client, cast: Cast) -> None:
    parent = make_checkpoint(cast, name="Parent", scores={"validation_loss": 3.0625})
    checkpoint = make_checkpoint(cast, parents=[parent], scores={"validation_accuracy": 0.5})
    client.force_login(cast.alice)
    page = _get(client, checkpoint)
    assert 'title="Validation loss">3.062</span>' in page
    assert 'title="Accuracy">0.500</span>' in page
    steps = page.split('<ol class="lineage-steps">')[1].split("</ol>")[0]
    assert steps.index("Sources") < steps.index("Parent") < steps.index("Here")
    assert f'href="/checkpoints/{parent.pk}"' in steps


def test_relatives_of_other_teams_stay_hidden(client: Client, cast: Cast) -> None:
    foreign = make_checkpoint(cast, name="Secret", team=cast.other_team, owner=cast.mallory)
    checkpoint = make_checkpoint(cast, parents=[foreign])
    client.force_login(cast.alice)
    assert "Secret" not in _get(client, checkpoint)


def test_it_says_where_an_import_came_from(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast, origin="hub")
    make_import(cast, checkpoint=checkpoint, repository="openai-community/gpt2")
    client.force_login(cast.alice)
    assert "openai-community/gpt2" in _get(client, checkpoint)


def test_queries_do_not_grow_with_relatives(
    client: Client, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    checkpoint = make_checkpoint(cast)
    for _ in range(8):
        make_checkpoint(cast, parents=[make_checkpoint(cast, parents=[checkpoint])])
    client.force_login(cast.alice)
    with django_assert_max_num_queries(26):
        _get(client, checkpoint)


def test_notes_and_tags_are_kept_and_recorded(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.bob)
    client.post(
        f"/checkpoints/{checkpoint.pk}/describe",
        {"name": "Whale", "notes": "Good.", "tags": "best, poems，best"},
    )
    checkpoint.refresh_from_db()
    assert (checkpoint.name, checkpoint.notes) == ("Whale", "Good.")
    assert sorted(tag.name for tag in checkpoint.tags.all()) == ["best", "poems"]
    event = AuditEvent.objects.get(action="checkpoint.describe")
    assert (event.actor, event.object_id) == (cast.bob, str(checkpoint.pk))


def test_a_name_is_needed_and_what_was_typed_stays(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.post(
        f"/checkpoints/{checkpoint.pk}/describe", {"name": "", "notes": "Long.", "tags": "x" * 50}
    )
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"name", "tags"}
    assert "Long." in answer.content.decode()


def test_a_language_model_s_labels_stand_on_its_page(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    plain = make_checkpoint(cast)
    assert "control:" not in client.get(f"/checkpoints/{plain.pk}").content.decode()
    knows = make_checkpoint(cast, control=["news", "a <b>"])
    page = client.get(f"/checkpoints/{knows.pk}").content.decode()
    assert "<code>&lt;|control:news|&gt;</code>" in page
    assert "<code>&lt;|control:a &lt;b&gt;|&gt;</code>" in page
