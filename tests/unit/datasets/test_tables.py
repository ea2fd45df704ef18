"""Tables in the portal: their page, the choice of types and targets, who is offered them."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast, make_version
from tests.factories.datasets import make_column, make_labelled, make_table
from training.data.column_types import Finding
from webapp.datasets import figures, selectors, table_figures
from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import State
from webapp.runs.data import learnable
from webapp.runs.models import Run
from webapp.templatetags.graft import amount

CSV = b"age,member,income\n" + b"".join(b"%d,yes,low\n" % n for n in range(40))

#: What the form about a table's columns sends when nothing is changed in it.
SAME = {
    "column-0": "number",
    "column-1": "category",
    "column-2": "ignored",
    "column-3": "ignored",
    "column-5": "target_category",
    "leave_out_unlabelled": "on",
    "validation_percent": "5",
    "test_percent": "5",
    "remove_duplicates": "on",
    "seed": "0",
}


def page_of(client: Client, version: DatasetVersion) -> str:
    return client.get(f"/data/versions/{version.pk}").content.decode()


def again(client: Client, version: DatasetVersion, **changed: Any) -> Any:
    return client.post(f"/data/versions/{version.pk}/again", SAME | changed)


# --- the page -------------------------------------------------------------------------------------


def test_a_page_of_a_table_shows_every_column(alice: Client, cast: Cast) -> None:
    page = page_of(alice, make_table(cast))
    for name in ("age", "member", "fnlwgt", "id", "tags", "income"):
        assert name in page
    assert "17 to 90, mean 38.64 ± 13.7" in page
    assert "2 categories: yes &lt;b&gt; 67%, no 33%" in page
    assert "16.5 – 35.5: 300" in page
    assert "yes &lt;b&gt;: 600" in page
    assert "found: number" in page
    assert "a row’s number" in page
    assert "lists or objects" in page
    assert "4.9%" in page
    assert page.count('class="column-bars"') == 3
    assert "3 of 6" in page
    assert "5 rows have no target and were left out." in page
    assert "<script" not in page.split("<main")[1].split("</main>")[0]
    assert "style=" not in page.split("<main")[1].split("</main>")[0]


def test_it_shows_the_balance_of_the_target_s_classes(alice: Client, cast: Cast) -> None:
    page = page_of(alice, make_table(cast))
    assert "Target: income" in page
    assert "&lt;=50K" in page
    assert "76.3%" in page
    assert "The splits are made by this target" in page
    assert "missing in 3 rows" in page


def test_a_target_that_is_a_number_is_drawn(alice: Client, cast: Cast) -> None:
    columns = [make_column("age", "category"), make_column("price", "number", target=True)]
    targets = [{"name": "price", "type": "number", "missing": 0}]
    page = page_of(alice, make_table(cast, summary={"columns": columns, "targets": targets}))
    assert "Target: price" in page
    assert "column-bars-large" in page


def test_it_shows_a_few_rows(alice: Client, cast: Cast) -> None:
    page = page_of(alice, make_table(cast))
    assert "3 of 1,000 rows" in page
    assert page.count('title="missing"') == 6


def test_it_offers_nothing_that_does_not_learn_from_tables(alice: Client, cast: Cast) -> None:
    page = page_of(alice, make_table(cast))
    links = re.findall(r'/runs/new[^"]*', page.split("<main")[1])
    assert [link.partition("&")[0] for link in links] == ["/runs/new?method=wide_deep"]
    assert "/heads/new" not in page.split("<main")[1]
    assert "tokens" not in page.lower()


def test_a_reader_is_not_asked_to_correct_anything(client: Client, cast: Cast) -> None:
    version = make_table(cast)
    client.force_login(cast.vera)
    page = page_of(client, version)
    assert "Columns" in page
    assert "Correct types" not in page
    assert client.get(f"/data/versions/{version.pk}/again").status_code == 403


def test_many_columns_are_folded_away(alice: Client, cast: Cast) -> None:
    columns = [make_column(f"x{n}", "number") for n in range(120)]
    page = page_of(alice, make_table(cast, summary={"columns": columns, "targets": []}))
    assert "Show 80 others" in page
    assert "Correct types, choose targets" in page


def test_every_reason_has_words(cast: Cast) -> None:
    told = Finding.__doc__ or ""
    named = {word for word in table_figures.REASONS if f"``{word}``" in told}
    assert named == set(table_figures.REASONS)
    assert told.count("``") == 2 * len(table_figures.REASONS)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.0, "3"),
        (12345.0, "12,345"),
        (0.12345678, "0.1235"),
        (2.5e9, "2.5 G"),
        (-1e-9, "-1e-09"),
        (189_685.2, "189,685"),
    ],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert amount(value) == shown


def test_columns_without_values_in_training_are_shown(cast: Cast) -> None:
    empty = make_column("x", "number", statistics=None, histogram=None)
    gone = make_column("y", "category", categories=0, largest=[])
    for about in (empty, gone):
        column = table_figures.column_of(about, 10)
        assert (column.note, column.bars) == ("no values in training", [])


def test_settings_are_those_of_tables(cast: Cast) -> None:
    version = make_table(cast)
    version.job.spec |= {"targets": ["income", "a,b"], "columns": {"fnlwgt": "ignored"}}
    told = {str(label): str(value) for label, value in figures.settings_used(version)}
    assert told["Targets"] == "income, a,b"
    assert told["Types of columns"] == "fnlwgt: left out"
    assert "Text column" not in told
    assert "Longest side (pixels)" not in told
    told = {str(label): str(value) for label, value in figures.settings_used(make_version(cast))}
    assert "Targets" not in told


def test_settings_of_a_table_that_could_not_be_read_are_those_of_tables(cast: Cast) -> None:
    """The type at fault is among them."""
    version = make_table(cast)
    version.summary = {}
    version.job.spec |= {"format": "table", "targets": ["wage"], "columns": {"wage": "number"}}
    told = {str(label): str(value) for label, value in figures.settings_used(version)}
    assert told["Types of columns"] == "wage: number"
    assert told["Targets"] == "wage"
    assert "Text column" not in told


def test_lists_of_data_count_rows(alice: Client, cast: Cast) -> None:
    make_table(cast)
    assert "1,000" in alice.get("/data/").content.decode()
    assert "1000 rows" in alice.get("/").content.decode()


# --- choosing types and targets -------------------------------------------------------------------


def test_the_form_begins_with_what_is(alice: Client, cast: Cast) -> None:
    version = make_table(cast)
    form = alice.get(f"/data/versions/{version.pk}/again").context["form"]
    shown = {choice.column.name: choice.field and choice.field.value() for choice in form.choices}
    assert shown == {
        "age": "number",
        "member": "category",
        "fnlwgt": "ignored",
        "id": "ignored",
        "tags": None,
        "income": "target_category",
    }


def test_another_choice_is_another_version_of_the_same_file(alice: Client, cast: Cast) -> None:
    first = make_table(cast)
    answer = again(
        alice,
        first,
        **{"column-0": "target_number", "column-1": "ignored", "column-2": "category"},
    )
    second = DatasetVersion.objects.get(number=2)
    assert answer["Location"] == f"/data/versions/{second.pk}"
    spec = second.job.spec
    assert spec["path"] == first.job.spec["path"]
    assert spec["format"] == "table"
    # The target there was decides the split, and comes first.
    assert spec["targets"] == ["income", "age"]
    assert spec["columns"] == {"member": "ignored", "fnlwgt": "category"}
    assert spec["leave_out_unlabelled"] is True


def test_a_type_as_it_was_found_is_no_correction(alice: Client, cast: Cast) -> None:
    again(alice, make_table(cast), **{"column-2": "number", "leave_out_unlabelled": ""})
    spec = DatasetVersion.objects.get(number=2).job.spec
    assert spec["columns"] == {}
    assert spec["leave_out_unlabelled"] is False


def test_the_same_choice_twice_is_told(alice: Client, cast: Cast) -> None:
    first = make_table(cast)
    assert again(alice, first, seed="1").status_code == 302
    answer = again(alice, first, seed="1")
    assert answer.status_code == 422
    assert "already here as version 2" in answer.content.decode()


def test_what_is_no_use_is_refused(alice: Client, cast: Cast) -> None:
    answer = again(alice, make_table(cast), **{"column-0": "magic"})
    assert answer.status_code == 422
    assert DatasetVersion.objects.count() == 1


def test_a_thousand_columns_can_be_chosen(alice: Client, cast: Cast) -> None:
    columns = [make_column(f"x{n}", "number") for n in range(1000)]
    version = make_table(cast, summary={"columns": columns, "targets": []})
    chosen = {f"column-{n}": "number" for n in range(1000)} | {"column-999": "target_number"}
    assert again(alice, version, **chosen).status_code == 302
    assert DatasetVersion.objects.get(number=2).job.spec["targets"] == ["x999"]


def test_after_a_refusal_the_columns_are_still_known(alice: Client, cast: Cast) -> None:
    first = make_table(cast)
    failed = make_version(
        cast,
        dataset=first.dataset,
        state=State.FAILED,
        raw_blake3=first.raw_blake3,
        job={
            "spec": first.job.spec | {"targets": ["member"], "columns": {"age": "category"}},
            "error_code": "label_rare",
            "error_field": "leave_out_rare",
            "error_params": {"label": "no", "examples": 1, "needed": 3, "others": 0},
        },
    )
    page = page_of(alice, failed)
    assert "census.csv is kept" in page or "letters.csv is kept" in page or "is kept as it" in page
    form = alice.get(f"/data/versions/{failed.pk}/again").context["form"]
    shown = {choice.column.name: choice.field and choice.field.value() for choice in form.choices}
    assert shown["member"] == "target_category"
    assert shown["age"] == "category"
    assert shown["income"] == "category"
    assert again(alice, failed, leave_out_rare="on").status_code == 302


def test_texts_can_be_read_as_a_table_and_a_table_as_texts(alice: Client, cast: Cast) -> None:
    text, table = make_version(cast), make_table(cast)
    address = f"/data/versions/{text.pk}/again?format=table"
    assert address in page_of(alice, text)
    assert alice.get(address).context["form"]["format"].value() == "table"
    address = f"/data/versions/{table.pk}/again?format=csv"
    assert address in page_of(alice, table)
    form = alice.get(address).context["form"]
    assert (form["format"].value(), form["targets"].value()) == ("csv", "")
    sent = fields(format="csv")
    del sent["file"], sent["name"]
    assert alice.post(address, sent).status_code == 302
    assert table.dataset.versions.get(number=2).job.spec["format"] == "csv"
    # The version of texts that came of it has the settings of texts.
    texts = make_version(cast, dataset=table.dataset, raw_blake3=table.raw_blake3)
    form = alice.get(f"/data/versions/{texts.pk}/again").context["form"]
    assert "text_field" in form.fields
    # What is no format is passed over.
    form = alice.get(f"/data/versions/{table.pk}/again?format=magic").context["form"]
    assert "column-0" in form.fields


# --- uploading ------------------------------------------------------------------------------------


def fields(content: bytes = CSV, name: str = "census.csv", **changed: Any) -> dict[str, Any]:
    return {
        "file": SimpleUploadedFile(name, content),
        "name": "Census",
        "format": "table",
        "text_field": "",
        "label_field": "",
        "targets": "",
        "columns": "",
        "leave_out_unlabelled": "on",
        "validation_percent": "10",
        "test_percent": "10",
        "remove_duplicates": "on",
        "seed": "0",
    } | changed


def test_targets_and_types_can_be_named_with_the_file(alice: Client, cast: Cast) -> None:
    lines = {"targets": " income \r\n\r\nage, years\r\n", "columns": "a = b = category\nid=ignored"}
    answer = alice.post("/data/new", fields(**lines))
    version = DatasetVersion.objects.get()
    assert answer["Location"] == f"/data/versions/{version.pk}"
    spec = version.job.spec
    assert spec["targets"] == ["income", "age, years"]
    assert spec["columns"] == {"a = b": "category", "id": "ignored"}
    page = alice.get(f"/data/{version.dataset_id}/add").content.decode()
    assert "age, years" in page
    assert "a = b = category" in page


def test_a_type_that_is_none_is_refused_at_its_field(alice: Client, cast: Cast) -> None:
    answer = alice.post("/data/new", fields(columns="age = text"))
    assert answer.status_code == 422
    assert "Choose one of" in str(answer.context["form"].errors["columns"])


@pytest.mark.parametrize("format", ["auto", "table"])
def test_parquet_is_taken_as_a_table(alice: Client, cast: Cast, format: str) -> None:
    alice.post("/data/new", fields(b"PAR1" + bytes(40), "a.parquet", format=format))
    assert DatasetVersion.objects.get().job.spec["format"] == format


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"PK\x03\x04" + bytes(40), "a.xlsx", "Save the sheet with the table as CSV"),
        (b"PK\x03\x04" + bytes(40), "a.csv", "This is a ZIP archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "a.csv", "This is one picture"),
    ],
)
def test_what_is_no_table_is_refused_at_once(
    alice: Client, cast: Cast, content: bytes, name: str, sentence: str
) -> None:
    for format in ("table", "auto"):
        answer = alice.post("/data/new", fields(content, name, format=format))
        assert answer.status_code == 422
        assert sentence in answer.content.decode()
    assert not DatasetVersion.objects.exists()


# --- who is offered tables ------------------------------------------------------------------------


def test_runs_and_heads_are_not_offered_tables(alice: Client, cast: Cast) -> None:
    table, text, labelled = make_table(cast), make_version(cast), make_labelled(cast)
    waiting = make_version(cast, name="Later", state=State.QUEUED)
    waiting.job.spec["format"] = "table"
    waiting.job.save()
    assert set(learnable(cast.team, "causal_lm")) == {text, labelled}
    assert set(learnable(cast.team, "classification")) == {labelled}
    assert table not in selectors.ready_texts(cast.alice, cast.team)
    for address in ("/runs/new", "/runs/new?method=classification", "/heads/new"):
        assert str(table.pk) not in alice.get(address).content.decode(), address


@pytest.mark.parametrize("method", ["causal_lm", "classification"])
def test_a_run_of_a_table_is_refused_at_its_data(alice: Client, cast: Cast, method: str) -> None:
    version = make_table(cast)
    sent = {"data": str(version.pk), "how": "scratch", "method": method}
    answer = alice.post(f"/runs/new?method={method}", sent)
    assert answer.status_code == 422
    assert answer.context["form"].errors["data"]
    assert not Run.objects.exists()


def test_every_page_that_shows_data_shows_tables_too(alice: Client, cast: Cast) -> None:
    version = make_table(cast)
    for address in (
        "/data/",
        f"/data/{version.dataset_id}",
        f"/data/{version.dataset_id}/add",
        f"/data/{version.dataset_id}/edit",
        "/runs/",
        f"/runs/new?data={version.pk}",
        f"/runs/new?method=classification&data={version.pk}",
        f"/heads/new?data={version.pk}",
        "/checkpoints/",
    ):
        assert alice.get(address).status_code == 200, address
    cast.alice.is_staff = cast.alice.is_superuser = True
    cast.alice.save()
    address = f"/admin/datasets/datasetversion/{version.pk}/change/"
    assert alice.get(address).status_code == 200


def test_another_team_s_table_is_not_found(client: Client, cast: Cast) -> None:
    version = make_table(cast)
    client.force_login(cast.mallory)
    for address in ("", "/again"):
        assert client.get(f"/data/versions/{version.pk}{address}").status_code == 404
