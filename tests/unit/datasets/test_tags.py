"""Sentences whose words have tags: what their page shows, and what learns from them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast
from tests.factories.datasets import TAGS, make_labelled, make_numbered, make_tagged
from webapp import taggings
from webapp.datasets import figures
from webapp.datasets.models import DatasetVersion
from webapp.runs.data import learnable


def page_of(client: Client, version: Any) -> str:
    return client.get(f"/data/versions/{version.pk}").text


def test_sentences_are_shown_with_their_tags_in_colour(alice: Client, cast: Cast) -> None:
    page = page_of(alice, make_tagged(cast))
    # Both tags of a type have its colour; what is outside has none.
    assert '<span class="word word-1">Anna<small>B-PER</small></span>' in page
    assert '<span class="word word-1">&lt;Blum&gt;<small>I-PER</small></span>' in page
    assert '<span class="word">met</span>' in page
    assert '<span class="word word-2">Rome<small>B-LOC</small></span>' in page


def test_tags_and_types_of_entities_are_counted(alice: Client, cast: Cast) -> None:
    page = page_of(alice, make_tagged(cast))
    for told in ("4 tags from the column ner_tags", "IOB2", "Length of sentences", "Sentences"):
        assert told in page
    found = figures.tags(make_tagged(cast, name="Again"))
    assert found is not None
    assert [(one.name, one.examples) for one in found.entities] == [
        ("PER", [80, 4, 6]),
        ("LOC", [10, 1, 1]),
    ]
    assert found.tags[0].share == pytest.approx(990 / 1114)
    assert [one.colour for one in found.tags] == [0, 1, 1, 2]


def test_plain_tags_have_a_colour_each() -> None:
    names = [f"T{number}" for number in range(12)]
    found = taggings.colours(["O", *names], None)
    assert list(found.values()) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3]
    assert taggings.colours(["O", "B-X", "I-X"], "IOB2") == {"O": 0, "B-X": 1, "I-X": 1}


def test_it_leads_to_a_run_that_tags_words_and_to_none_on_classes(
    alice: Client, cast: Cast
) -> None:
    page = page_of(alice, make_tagged(cast)).partition("<main")[2]
    assert "method=token_classification" in page
    for other in ("method=classification", "method=regression", "Fit a head", "/ensembles/new"):
        assert other not in page
    assert "method=token_classification" not in page_of(alice, make_labelled(cast))


def test_what_learns_from_tags(cast: Cast) -> None:
    tags, classes, numbers = make_tagged(cast), make_labelled(cast), make_numbered(cast)
    assert list(learnable(cast.team, "token_classification")) == [tags]
    assert list(learnable(cast.team, "classification")) == [classes]
    assert list(learnable(cast.team, "regression")) == [numbers]
    assert tags in set(learnable(cast.team, "causal_lm"))


def test_settings_that_tags_have_no_use_for_are_not_told(cast: Cast) -> None:
    told = [str(label) for label, _value in figures.settings_used(make_tagged(cast))]
    assert "Label column" in told
    assert not {"Labels are", "Second text column", "Leave out rare classes"} & set(told)
    assert figures.tags(make_labelled(cast)) is None
    assert TAGS["field"]


def test_conll_can_be_chosen(alice: Client, cast: Cast) -> None:
    fields = {
        "file": SimpleUploadedFile("a.txt", b"Anna B\nruns O\n\nBen B\nsits O\n"),
        "name": "Tagged",
        "format": "conll",
        "text_field": "1",
        "label_field": "-1",
        "longest_px": "64",
        "validation_percent": "10",
        "test_percent": "10",
        "seed": "0",
    }
    alice.post("/data/new", fields)
    spec = DatasetVersion.objects.get().job.spec
    assert (spec["format"], spec["text_field"], spec["label_field"]) == ("conll", "1", "-1")
