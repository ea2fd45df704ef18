"""The layer table: from the stored header alone, a block and a part at a time."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint, make_statistics
from webapp import storage
from webapp.checkpoints import layers
from webapp.checkpoints.models import Checkpoint

HTMX = {"HX-Request": "true"}


def _layers(client: Client, checkpoint: Checkpoint, **query: Any) -> str:
    answer = client.get(f"/checkpoints/{checkpoint.pk}/layers", query, headers=HTMX)
    assert answer.status_code == 200
    return answer.content.decode()


def _many(cast: Cast, count: int, name: str = "encoder.layer.{}.weight") -> Checkpoint:
    """A checkpoint of another architecture with many tensors."""
    checkpoint = make_checkpoint(cast)
    checkpoint.architecture = "other"
    checkpoint.tensors = [
        {"name": name.format(number), "dtype": "BF16", "shape": [4, 2]} for number in range(count)
    ]
    checkpoint.parameters = 8 * count
    checkpoint.save()
    return checkpoint


def test_a_block_s_rows_come_when_it_is_opened(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    page = alice.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert "transformer.wte.weight" in page
    assert "transformer.h.1.mlp.c_fc.weight" not in page
    assert f'hx-get="/checkpoints/{checkpoint.pk}/layers?block=layer.1"' in page
    part = _layers(alice, checkpoint, block="layer.1")
    assert "transformer.h.1.mlp.c_fc.weight" in part
    assert "8 × 32" in part
    assert "transformer.h.0." not in part
    assert "<html" not in part


def test_without_a_script_a_link_opens_a_block(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    page = alice.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert f'href="/checkpoints/{checkpoint.pk}?block=layer.1#layers"' in page
    page = alice.get(f"/checkpoints/{checkpoint.pk}", {"block": "layer.1"}).content.decode()
    assert "transformer.h.1.mlp.c_fc.weight" in page
    assert "transformer.wte.weight" not in page
    answer = alice.get(f"/checkpoints/{checkpoint.pk}/layers", {"block": "layer.1"})
    assert answer["Location"] == f"/checkpoints/{checkpoint.pk}?block=layer.1&from=0#layers"


def test_a_long_block_comes_in_parts(alice: Client, cast: Cast) -> None:
    checkpoint = _many(cast, 450, "head.w{}")  # no number of its own: one block of 450
    first = _layers(alice, checkpoint, block="head")
    assert first.count("<tr>") == 1 + layers.ROWS + 1
    assert "250 more" in first
    assert f"/checkpoints/{checkpoint.pk}/layers?block=head&amp;from=200" in first
    last = _layers(alice, checkpoint, block="head", **{"from": 400})
    assert last.count("<tr>") == 50
    assert "<table" not in last
    assert "more" not in last
    beyond = alice.get(f"/checkpoints/{checkpoint.pk}", {"block": "head", "from": 99_999})
    assert beyond.context["part"].left == 0
    for nonsense in ("-1", "x", "9" * 30):
        assert "head.w0<" in _layers(alice, checkpoint, block="head", **{"from": nonsense})


@pytest.mark.parametrize("count", [4, 4000])
def test_rows_and_drawings_take_a_fixed_number_of_queries(
    alice: Client, cast: Cast, count: int, django_assert_num_queries: Any
) -> None:
    checkpoint = _many(cast, count, "head.w{}")
    make_statistics(cast, checkpoint)
    with django_assert_num_queries(6):
        _layers(alice, checkpoint, block="head")
    with django_assert_num_queries(5):
        alice.get(f"/checkpoints/{checkpoint.pk}/histogram?tensor=head.w1", headers=HTMX)


def test_another_team_s_tensors_are_not_there(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    make_statistics(cast, checkpoint)
    client.force_login(cast.mallory)
    for path in ("layers", "statistics", "histogram?tensor=transformer.wte.weight"):
        for headers in ({}, HTMX):
            answer = client.get(f"/checkpoints/{checkpoint.pk}/{path}", headers=headers)
            assert answer.status_code == 404, path


def test_no_file_is_read(alice: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = make_checkpoint(cast)

    def refuse(*args: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(storage, "open_blob", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    assert "h.0.ln_1.weight" in _layers(alice, checkpoint, block="layer.0")


def test_blocks_stand_in_the_order_in_which_people_count(cast: Cast) -> None:
    names = [block.name for block in layers.blocks(_many(cast, 12))]
    assert names == [f"encoder.layer.{number}" for number in range(12)]
    ours = [block.title for block in layers.blocks(make_checkpoint(cast))]
    assert ours == ["Embeddings", "Layer 0", "Layer 1", "Final norm"]


def test_values_become_columns_with_a_histogram_behind_each_name(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    assert "Norm" not in _layers(alice, checkpoint, block="layer.0")
    make_statistics(cast, checkpoint)
    part = _layers(alice, checkpoint, block="layer.0")
    assert ">Norm</th>" in part
    assert "2.5" in part
    name = "transformer.h.0.ln_1.weight"
    address = f"/checkpoints/{checkpoint.pk}/histogram?tensor={name}"
    assert f'hx-get="{address}"' in part
    drawing = alice.get(address, headers=HTMX).content.decode()
    assert drawing.count('<rect class="histogram-bar"') == 40
    assert 'class="histogram-zero" x1="50"' in drawing  # −1 … 3: a quarter of 200 pixels
    assert "10 (25.00%)" in drawing
    assert drawing.count("<tr>") == 41  # the same as a table
    assert "style=" not in drawing
    whole = alice.get(address).content.decode()
    assert "<h1>transformer.h.0.ln_1.weight</h1>" in whole
    assert drawing.strip() in whole


def test_a_histogram_that_is_not_there_is_a_404(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    address = f"/checkpoints/{checkpoint.pk}/histogram"
    assert alice.get(address, {"tensor": "transformer.wte.weight"}).status_code == 404
    make_statistics(cast, checkpoint)
    assert alice.get(address, {"tensor": "nothing"}).status_code == 404


def test_values_that_are_not_finite_are_shown(alice: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    name = "transformer.wte.weight"
    none = {"minimum": None, "maximum": None, "mean": None, "norm": 0.0}
    make_statistics(
        cast,
        checkpoint,
        values={name: {"count": 3, "nan": 1, "infinite": 2, "zeros": 0} | none},
        histograms={name: []},
        summary={"count": 3, "zeros": 0, "nan": 1, "infinite": 2, "norm": 0.0},
    )
    page = alice.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert "Not finite: 1 NaN, 2 infinite" in page
    assert "not all finite" in page
    drawing = alice.get(f"/checkpoints/{checkpoint.pk}/histogram", {"tensor": name})
    assert "There is no finite value in it" in drawing.content.decode()


def test_names_that_make_too_many_blocks_are_grouped_by_less_of_each(cast: Cast) -> None:
    (block,) = layers.blocks(_many(cast, 400))
    assert (block.name, len(block.tensors)) == ("encoder.layer", 400)
    (block,) = layers.blocks(_many(cast, 400, "{}.w"))
    assert (block.title, len(block.tensors)) == ("", 400)


def test_ten_thousand_tensors_make_a_page_of_bounded_length(
    alice: Client, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    checkpoint = _many(cast, 10_000, "model.layers.{}.weight")
    with django_assert_max_num_queries(26):
        page = alice.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert page.count('class="block"') == 1
    assert "9800 more" in page
