"""Two checkpoints side by side."""

import re
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import Cast
from tests.factories.checkpoints import TINY, card_file, make_checkpoint
from tests.factories.datasets import make_version
from tests.factories.jobs import make_job
from tests.factories.runs import make_spec
from webapp.checkpoints.comparison import Comparison, compare
from webapp.checkpoints.models import Checkpoint

URL = "/checkpoints/compare"


def _compare(client: Client, *chosen: Checkpoint) -> Comparison:
    answer = client.get(URL, {"ids": [one.pk for one in chosen]})
    assert answer.status_code == 200
    found: Comparison = answer.context["comparison"]
    return found


def _with_hashes(cast: Cast, hashes: dict[str, str], **fields: Any) -> Checkpoint:
    """A checkpoint whose card names a hash a tensor; "same" where none is given."""
    config = fields.get("config", TINY)
    card = card_file({tensor.name: "same" for tensor in config.tensors()} | hashes)
    return make_checkpoint(cast, files={"card.json": card}, **fields)


def test_settings_show_only_what_differs(alice: Client, cast: Cast) -> None:
    first = make_checkpoint(cast, name="One")
    second = make_checkpoint(cast, name="Two", config=TINY.model_copy(update={"n_layer": 3}))
    found = _compare(alice, first, second)
    assert [(row.title, row.values) for row in found.settings] == [("Layers", (2, 3))]
    assert found.same > 10


def test_how_two_were_trained_is_compared_as_well(alice: Client, cast: Cast) -> None:
    version = make_version(cast, name="Sea")

    def trained(**training: Any) -> Checkpoint:
        spec = make_spec(version, training={"steps": 400, "sequence_length": 8} | training)
        job = make_job(cast, kind="train", spec=spec.model_dump(mode="json"))
        return make_checkpoint(cast, job=job, dataset_version=version)

    first, second = trained(), trained(steps=900)
    other = make_checkpoint(cast)
    rows = {row.title: row.values for row in _compare(alice, first, second).settings}
    assert rows == {"Steps": (400, 900)}
    rows = {row.title: row.values for row in _compare(alice, first, other).settings}
    assert rows["Data"] == ("Sea v1", None)


def test_scores_stand_beside_each_other_with_their_difference(alice: Client, cast: Cast) -> None:
    first = make_checkpoint(cast, scores={"validation_loss": 3.5, "test_loss": 4.0})
    second = make_checkpoint(cast, scores={"validation_loss": 3.25, "validation_accuracy": 0.5})
    found = {
        row.title: (row.values, row.difference) for row in _compare(alice, first, second).scores
    }
    assert found["Validation loss"] == (("3.500", "3.250"), -0.25)
    assert found["Test loss"] == (("4.000", None), None)
    assert found["Accuracy"] == ((None, "0.500"), None)


def test_tensors_are_told_apart_by_hash_shape_and_name(alice: Client, cast: Cast) -> None:
    deeper = TINY.model_copy(update={"n_layer": 3, "n_positions": 24})
    changed = "transformer.h.0.ln_1.weight"
    first = _with_hashes(cast, {"lm_head.weight": "x"}, name="First")
    second = _with_hashes(cast, {changed: "other"}, config=deeper, name="Second")
    found = _compare(alice, first, second)
    rows = {row.title: row for row in found.blocks or ()}
    total = found.totals
    assert (total.differ, total.only_first) == (2, 0)
    assert total.only_second == len([t for t in second.tensors if ".h.2." in t["name"]])
    assert total.equal + total.differ == len(first.tensors)
    assert rows["Layer 0"].named == [(changed, "other values")]
    assert rows["Embeddings"].named == [("transformer.wpe.weight", "16 × 8 F32 → 24 × 8 F32")]
    assert rows["Layer 2"].only_second == total.only_second
    assert rows["Layer 1"].unequal == 0
    page = alice.get(URL, {"ids": f"{first.pk},{second.pk}"}).content.decode()
    assert changed in page
    assert "Layer 1" not in page.split('aria-labelledby="tensors"')[1]


def test_the_same_weights_are_said_to_be_the_same(alice: Client, cast: Cast) -> None:
    card = {"weights_sha256": "ab" * 32, "architecture": "gpt2", "parameters": 9}
    chosen = [_with_hashes(cast, {}, card=card) for _ in range(2)]
    found = _compare(alice, *chosen)
    assert (found.same_weights, found.totals.unequal) == (True, 0)
    assert "bit for bit" in alice.get(URL, {"ids": [c.pk for c in chosen]}).content.decode()


def test_hashes_that_are_gone_are_told_and_nothing_breaks(alice: Client, cast: Cast) -> None:
    gone = make_checkpoint(cast)
    Checkpoint.objects.filter(pk=gone.pk).update(
        manifest={"card.json": {"blake3": "0" * 64, "size": 9}}
    )
    other = _with_hashes(cast, {})
    answer = alice.get(URL, {"ids": [gone.pk, other.pk]})
    assert answer.context["comparison"].blocks is None
    assert "not in the store any more" in answer.content.decode()


def test_many_different_tensors_are_counted_and_a_few_named(cast: Cast) -> None:
    chosen = []
    for digest in ("one", "other"):
        names = [f"part.w{number}" for number in range(300)]
        row = make_checkpoint(
            cast,
            files={"card.json": card_file(dict.fromkeys(names, digest))},
            tensors=[{"name": name, "dtype": "F32", "shape": []} for name in names],
        )
        row.architecture = "other"
        chosen.append(row)
    (block,) = compare(chosen[0], chosen[1], cast.alice).blocks or ()
    assert (block.differ, len(block.named), block.unnamed) == (300, 50, 250)


def test_shared_ancestors_are_the_nearest_ones(alice: Client, cast: Cast) -> None:
    root = make_checkpoint(cast, name="Root")
    near = make_checkpoint(cast, name="Near", parents=[root])
    one = make_checkpoint(cast, parents=[near])
    middle = make_checkpoint(cast, parents=[near])
    other = make_checkpoint(cast, parents=[middle, root])
    found = _compare(alice, one, other)
    assert [(a.checkpoint.name, a.first, a.second) for a in found.ancestors] == [
        ("Near", 1, 2),
        ("Root", 2, 1),
    ]
    assert found.descent is None
    assert "Both came from" in alice.get(URL, {"ids": [one.pk, other.pk]}).content.decode()


def test_descent_is_told_from_either_side(alice: Client, cast: Cast) -> None:
    old = make_checkpoint(cast, name="Old")
    middle = make_checkpoint(cast, parents=[old])
    young = make_checkpoint(cast, name="Young", parents=[middle])
    page = alice.get(URL, {"ids": [old.pk, young.pk]}).content.decode()
    assert "Young came from Old, 2 generations later." in page
    page = alice.get(URL, {"ids": [young.pk, old.pk]}).content.decode()
    assert "Young came from Old, 2 generations later." in page
    page = alice.get(URL, {"ids": [young.pk, middle.pk]}).content.decode()
    assert "1 generation later." in page
    page = alice.get(URL, {"ids": [old.pk, make_checkpoint(cast).pk]}).content.decode()
    assert "They share no ancestor." in page


def test_an_ancestor_of_another_team_is_not_named(alice: Client, cast: Cast) -> None:
    secret = make_checkpoint(cast, name="Secret", team=cast.other_team, owner=cast.mallory)
    chosen = [make_checkpoint(cast, parents=[secret]) for _ in range(2)]
    page = alice.get(URL, {"ids": [one.pk for one in chosen]}).content.decode()
    assert "Secret" not in page
    assert "They share no ancestor." in page


def test_the_playground_is_offered_when_both_write_text(alice: Client, cast: Cast) -> None:
    first, second = make_checkpoint(cast), make_checkpoint(cast)
    link = f"/playground/?checkpoint={first.pk}&amp;beside={second.pk}"
    assert link in alice.get(URL, {"ids": [first.pk, second.pk]}).content.decode()
    Checkpoint.objects.filter(pk=second.pk).update(task="image_classification")
    assert link not in alice.get(URL, {"ids": [first.pk, second.pk]}).content.decode()


def test_with_one_it_offers_others_and_with_none_it_says_what_to_do(
    alice: Client, cast: Cast
) -> None:
    first = make_checkpoint(cast)
    page = alice.get(URL, {"ids": first.pk}).content.decode()
    assert "There is no other checkpoint" in page
    second = make_checkpoint(cast, name="Beside")
    page = alice.get(URL, {"ids": first.pk}).content.decode()
    assert f'<option value="{second.pk}">Beside' in page
    for ids in ([], ["x"], [uuid.uuid4()], [first.pk, second.pk, make_checkpoint(cast).pk]):
        assert "Choose two checkpoints" in alice.get(URL, {"ids": ids}).content.decode()


def test_of_too_many_no_tensors_are_loaded_and_those_that_are_gone_do_not_count(
    alice: Client, cast: Cast
) -> None:
    three = [make_checkpoint(cast).pk for _ in range(3)]
    with CaptureQueriesContext(connection) as queries:
        assert alice.get(URL, {"ids": three}).context["chosen"]
    assert not any('"checkpoints_checkpoint"."tensors"' in query["sql"] for query in queries)
    gone = [uuid.uuid4() for _ in range(3)]
    found = alice.get(URL, {"ids": [*gone, *three[:2]]}).context["comparison"]
    assert [found.first.pk, found.second.pk] == three[:2]


def test_another_team_s_checkpoint_is_not_compared(client: Client, cast: Cast) -> None:
    chosen = [make_checkpoint(cast, name="Ours") for _ in range(2)]
    client.force_login(cast.mallory)
    page = client.get(URL, {"ids": [one.pk for one in chosen]}).content.decode()
    assert "Ours" not in page
    assert "Choose two checkpoints" in page


@pytest.mark.parametrize("count", [2, 6])
def test_queries_do_not_grow_with_relatives(
    alice: Client, cast: Cast, django_assert_num_queries: Any, count: int
) -> None:
    root = make_checkpoint(cast)
    parents = [make_checkpoint(cast, parents=[root]) for _ in range(count)]
    chosen = [make_checkpoint(cast, parents=parents) for _ in range(2)]
    with django_assert_num_queries(11):
        alice.get(URL, {"ids": [one.pk for one in chosen]})


def test_the_marks_of_what_differs_have_the_classes_of_a_plan(alice: Client, cast: Cast) -> None:
    first = _with_hashes(cast, {"transformer.wte.weight": "one"})
    deeper = TINY.model_copy(update={"n_layer": 3})
    second = _with_hashes(cast, {"transformer.wte.weight": "two"}, config=deeper)
    page = alice.get(URL, {"ids": [first.pk, second.pk]}).content.decode()
    assert "css/plan.css" in page
    blocks = page.split('class="plan plan-blocks"')[1]
    styled = (settings.BASE_DIR / "webapp/static/css/plan.css").read_text()
    used = set(re.findall(r"plan-action (plan-[\w-]+)", blocks))
    assert used == {"plan-kind-part", "plan-kind-new"}
    assert all(f".{name} {{" in styled for name in (*used, "plan-action", "plan-blocks"))
