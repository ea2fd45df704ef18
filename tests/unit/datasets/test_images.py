"""Images in the portal: uploaded, shown one by one, and kept away from what learns from text."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import Cast, make_version
from tests.factories.datasets import make_images
from tests.pictures import archive, class_folders, encoded, picture
from webapp.datasets import figures, selectors
from webapp.datasets.models import DatasetVersion
from webapp.jobs.models import State
from webapp.runs.models import Run


def page_of(client: Client, version: DatasetVersion) -> str:
    return client.get(f"/data/versions/{version.pk}").content.decode()


def address(version: DatasetVersion, row: dict[str, Any], **changed: Any) -> str:
    row = row | changed
    return f"/data/versions/{version.pk}/images/{row['split']}/{row['offset']}-{row['size']}"


def test_a_page_of_images_shows_a_grid_with_labels(
    alice: Client, cast: Cast, tmp_path: Path
) -> None:
    version = make_images(cast, folder=tmp_path)
    page = page_of(alice, version)
    assert page.count("<figure>") == 6
    for row in version.preview["images"]:
        assert address(version, row) in page
    assert "cat/&lt;0&gt;.png" in page
    assert "2 classes from the folders" in page
    assert "1,094" in page
    assert "cat/&lt;broken&gt;.png" in page
    assert "16 to 31 pixels: 94 images" in page
    assert "tokens" not in page.lower()
    assert f"/heads/new?data={version.pk}" in page
    assert "/runs/new?data=" not in page


def test_splits_and_settings_are_those_of_images(cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path)
    assert [(one.examples, one.tokens) for one in figures.splits(version)] == [
        (80, None),
        (6, None),
        (8, None),
    ]
    told = [str(label) for label, _value in figures.settings_used(version)]
    assert "Longest side (pixels)" in told
    assert "Text column" not in told
    told = [str(label) for label, _value in figures.settings_used(make_version(cast))]
    assert "Longest side (pixels)" not in told
    assert "Text column" in told


def test_an_image_is_its_own_bytes_and_kept_by_the_browser(
    alice: Client, cast: Cast, tmp_path: Path
) -> None:
    version = make_images(cast, folder=tmp_path)
    for number, row in enumerate(version.preview["images"]):
        answer = alice.get(address(version, row))
        assert answer.content == encoded(picture(number))
        assert answer["Content-Type"] == "image/png"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "immutable" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "changed",
    [
        {"split": "test"},
        {"split": "..%2Ftrain"},
        {"offset": 5},
        {"offset": 10**9},
        {"size": 10**9},
    ],
)
def test_what_is_no_image_of_the_version_is_not_found(
    alice: Client, cast: Cast, tmp_path: Path, changed: dict[str, Any]
) -> None:
    version = make_images(cast, folder=tmp_path)
    assert alice.get(address(version, version.preview["images"][0], **changed)).status_code == 404


def test_text_has_no_images(alice: Client, cast: Cast) -> None:
    row = {"split": "train", "offset": 0, "size": 1}
    assert alice.get(address(make_version(cast), row)).status_code == 404


def test_another_team_s_image_is_not_found(client: Client, cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path)
    client.force_login(cast.mallory)
    assert client.get(address(version, version.preview["images"][0])).status_code == 404


def test_language_models_are_offered_texts_alone(alice: Client, cast: Cast, tmp_path: Path) -> None:
    text = make_version(cast, name="Letters")
    images = make_images(cast, folder=tmp_path)
    waiting = make_version(cast, name="Waiting", state=State.QUEUED)
    rows = selectors.of_texts(DatasetVersion.objects.all())
    assert set(rows) == {text, waiting}
    assert images not in selectors.ready_texts(cast.alice, cast.team)
    page = alice.get("/runs/new").content.decode()
    assert str(text.pk) in page
    assert str(images.pk) not in page


def fields(content: bytes, name: str = "animals.zip", **changed: Any) -> dict[str, Any]:
    return {
        "file": SimpleUploadedFile(name, content),
        "name": "Animals",
        "format": "auto",
        "text_field": "",
        "label_field": "",
        "folders_are_classes": "on",
        "longest_px": "64",
        "validation_percent": "10",
        "test_percent": "10",
        "remove_duplicates": "on",
        "seed": "0",
    } | changed


@pytest.mark.parametrize("format", ["auto", "parquet"])
def test_parquet_is_taken(alice: Client, cast: Cast, format: str) -> None:
    alice.post("/data/new", fields(b"PAR1" + bytes(40), "a.parquet", format=format))
    assert DatasetVersion.objects.get().job.spec["format"] == format


@pytest.mark.parametrize("format", ["auto", "images"])
def test_a_zip_is_taken_and_waits_for_its_check(alice: Client, cast: Cast, format: str) -> None:
    answer = alice.post("/data/new", fields(archive(class_folders(3)), format=format))
    version = DatasetVersion.objects.get()
    assert answer["Location"] == f"/data/versions/{version.pk}"
    spec = version.job.spec
    assert (spec["format"], spec["longest_px"], spec["folders_are_classes"]) == (format, 64, True)


@pytest.mark.parametrize(
    ("content", "name", "format", "sentence"),
    [
        (b"One.\n\nTwo.\n", "a.txt", "images", "Images come in a ZIP archive"),
        (archive(class_folders(3)), "a.zip", "text", "This is a ZIP archive and not text"),
        (archive(class_folders(3)), "a.zip", "parquet", "This is no Parquet file"),
        (archive(class_folders(3)), "a.docx", "auto", "This is a ZIP archive and not text"),
        (b"PAR1" + bytes(40), "a.parquet", "csv", "This is a Parquet table"),
        (encoded(picture(0)), "a.png", "auto", "This is one picture (PNG)"),
    ],
)
def test_what_cannot_be_read_so_is_refused_at_once(
    alice: Client, cast: Cast, content: bytes, name: str, format: str, sentence: str
) -> None:
    answer = alice.post("/data/new", fields(content, name, format=format))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not DatasetVersion.objects.exists()


def test_the_list_counts_images(alice: Client, cast: Cast, tmp_path: Path) -> None:
    make_images(cast, folder=tmp_path)
    assert "1,094" in alice.get("/data/").content.decode()


def test_every_page_that_shows_data_shows_images_too(
    alice: Client, cast: Cast, tmp_path: Path
) -> None:
    version = make_images(cast, folder=tmp_path)
    home = alice.get("/").content.decode()
    assert "1094 images" in home
    for address in (
        "/data/",
        f"/data/{version.dataset_id}",
        f"/data/{version.dataset_id}/add",
        f"/data/{version.dataset_id}/edit",
        f"/data/versions/{version.pk}/again",
        "/runs/",
        "/runs/new",
        f"/runs/new?data={version.pk}",
        "/heads/",
        f"/heads/new?data={version.pk}",
        "/checkpoints/",
        "/playground/",
    ):
        answer = alice.get(address)
        assert answer.status_code == 200, address
    cast.alice.is_staff = cast.alice.is_superuser = True
    cast.alice.save()
    for address in (
        "/admin/datasets/datasetversion/",
        f"/admin/datasets/datasetversion/{version.pk}/change/",
    ):
        assert alice.get(address).status_code == 200, address


def test_a_run_of_images_is_refused_at_its_data(alice: Client, cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path)
    answer = alice.post("/runs/new", {"data": str(version.pk), "how": "scratch"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["data"]
    assert not Run.objects.exists()
