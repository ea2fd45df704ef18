"""Texts and images with a number each: what their page shows, and how the choice is made."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast
from tests.factories.datasets import LABELS, make_images, make_labelled, make_numbered, make_table
from webapp.datasets import figures
from webapp.datasets.forms import SettingsForm
from webapp.datasets.models import DatasetVersion
from webapp.datasets.table_form import TableForm
from webapp.runs.data import learnable


def page_of(client: Client, version: Any) -> str:
    return client.get(f"/data/versions/{version.pk}").text


def test_the_number_is_shown_with_its_figures_and_drawn(alice: Client, cast: Cast) -> None:
    version = make_numbered(cast)
    preview = {"documents": [version.preview["documents"][0] | {"label": 0.0}]}
    DatasetVersion.objects.filter(pk=version.pk).update(preview=preview)
    page = page_of(alice, version)
    assert "Number to predict: rating" in page
    for told in ("-3.9", "3.75", "0.25", "0.5", "321", "12", "Contradicting copies"):
        assert f"{told}</dd>" in page or f"<dt>{told}</dt>" in page
    assert page.count("column-bars-large") == 1
    assert '<span class="tag">0</span>' in page
    assert "Classes" not in page.partition("<main")[2].partition("Versions")[0]


def test_it_leads_to_a_run_that_predicts_it_and_to_none_on_classes(
    alice: Client, cast: Cast
) -> None:
    page = page_of(alice, make_numbered(cast))
    assert "method=regression" in page
    assert "Fit a head" in page
    for other in ("method=classification", "/ensembles/new"):
        assert other not in page.partition("<main")[2]
    assert "method=regression" not in page_of(alice, make_labelled(cast))


def test_a_table_has_its_numbers_elsewhere(cast: Cast) -> None:
    assert figures.number(make_table(cast)) is None
    assert figures.number(make_labelled(cast)) is None


def test_images_show_the_number_of_each(alice: Client, cast: Cast, tmp_path: Any) -> None:
    version = make_images(cast, folder=tmp_path)
    labels = make_numbered(cast).summary["labels"] | {"field": ""}
    rows = [row | {"label": 2.5} for row in version.preview["images"]]
    DatasetVersion.objects.filter(pk=version.pk).update(
        summary=version.summary | {"labels": labels}, preview={"images": rows}
    )
    page = page_of(alice, version)
    assert "Number to predict: number" in page
    assert '<span class="tag">2.5</span>' in page


def test_what_learns_from_numbers_and_what_from_classes(cast: Cast) -> None:
    numbers, classes = make_numbered(cast), make_labelled(cast)
    assert list(learnable(cast.team, "regression")) == [numbers]
    assert list(learnable(cast.team, "classification")) == [classes]
    assert set(learnable(cast.team, "causal_lm")) == {numbers, classes}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [({"label_type": "number"}, "number"), ({}, "auto"), ({"label_type": ""}, "auto")],
)
def test_the_choice_is_sent_and_without_one_it_is_left_to_the_check(
    typed: dict[str, str], kept: str, alice: Client, cast: Cast
) -> None:
    fields = {
        "file": SimpleUploadedFile("a.csv", b"text,rating\na,1\nb,2\nc,3\n"),
        "name": "Rated",
        "format": "auto",
        "label_field": "rating",
        "longest_px": "64",
        "validation_percent": "10",
        "test_percent": "10",
        "seed": "0",
    }
    alice.post("/data/new", fields | typed)
    assert DatasetVersion.objects.get().job.spec["label_type"] == kept


def test_a_table_s_form_does_not_ask_it(cast: Cast) -> None:
    table = make_table(cast)
    form = TableForm(columns=table.summary["columns"], targets=[])
    assert "label_type" not in form.fields
    assert "label_type" in SettingsForm().fields
    assert LABELS["field"]
