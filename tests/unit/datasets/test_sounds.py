"""Sounds in the portal: uploaded, seen, heard one by one, and kept from what reads others."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import translation

from tests.factories import Cast, make_version
from tests.factories.datasets import make_images, make_labelled, make_sounds
from tests.pictures import archive
from tests.sounds import class_folders
from webapp.datasets import figures, selectors
from webapp.datasets.models import DatasetVersion
from webapp.ensembles.selectors import versions_offered as of_ensembles
from webapp.heads.selectors import versions_offered as of_heads
from webapp.runs.data import learnable


def page_of(client: Client, version: DatasetVersion) -> str:
    return client.get(f"/data/versions/{version.pk}").content.decode()


def address(version: DatasetVersion, row: dict[str, Any], **changed: Any) -> str:
    place = row["sound"] | changed
    return f"/data/versions/{version.pk}/sounds/{row['split']}/{place['offset']}-{place['size']}"


@pytest.fixture
def sounds(cast: Cast, tmp_path: Path) -> DatasetVersion:
    return make_sounds(cast, folder=tmp_path)


def test_a_page_of_sounds_has_a_picture_and_a_player_of_each(
    alice: Client, sounds: DatasetVersion
) -> None:
    page = page_of(alice, sounds)
    assert page.count("<figure>") == page.count("<audio controls") == 6
    for row in sounds.preview["sounds"]:
        assert f'src="{address(sounds, row)}"' in page
        assert f"/images/train/{row['offset']}-{row['size']}" in page
    assert page.index('class="sound-class">high<') < page.index('class="sound-class">low<')
    assert "high/&lt;0&gt;.wav" in page
    assert "high/&lt;broken&gt;.wav" in page
    assert "0.51 seconds at 8,000 Hz, each a picture of 28 mel bands by 32 moments" in page
    assert "256 to 511 ms: 94 sounds" in page
    assert "16-bit, stereo" in page
    assert "Nothing else learns from sounds yet" in page
    assert "tokens" not in page.lower()


def test_it_is_offered_for_what_learns_from_sounds_alone(
    alice: Client, sounds: DatasetVersion
) -> None:
    page = page_of(alice, sounds)
    assert f"/runs/new?method=cvae&amp;data={sounds.pk}" in page
    for other in ("method=classification", "method=simclr", "/heads/new", "/ensembles/new"):
        assert other not in page


def test_only_what_takes_sounds_has_them_among_its_data(
    cast: Cast, sounds: DatasetVersion, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    images = make_images(cast, folder=tmp_path / "images")
    texts = make_labelled(cast, name="Letters")
    old = make_labelled(cast, name="Before kinds were told")
    summary = {key: value for key, value in old.summary.items() if key != "kind"}
    DatasetVersion.objects.filter(pk=old.pk).update(summary=summary)
    for method in ("cvae", "cgan"):
        assert set(learnable(cast.team, method)) == {sounds, images}
    assert set(learnable(cast.team, "classification")) == {images, texts, old}
    assert set(learnable(cast.team, "simclr")) == {images}
    for offered in (of_heads(cast.team), of_ensembles(cast.team)):
        assert set(offered) == {images, texts, old}
    assert sounds not in set(selectors.of_texts(DatasetVersion.objects.all()))


def test_a_sound_is_played_from_its_place(alice: Client, sounds: DatasetVersion) -> None:
    row = sounds.preview["sounds"][2]
    answer = alice.get(address(sounds, row))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "audio/wav"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer["Cache-Control"]
    assert answer.content[:4] == b"RIFF"
    assert len(answer.content) == row["sound"]["size"]
    part = alice.get(address(sounds, row), headers={"Range": "bytes=4-11"})
    assert part.status_code == 206
    assert part.content == answer.content[4:12]


def test_players_may_be_fed_by_the_portal_alone(alice: Client, sounds: DatasetVersion) -> None:
    policy = alice.get(f"/data/versions/{sounds.pk}")["Content-Security-Policy"]
    assert "media-src 'self'" in policy


@pytest.mark.parametrize("changed", [{"offset": 0}, {"offset": 10**9}, {"size": 10**7}])
def test_what_is_no_sound_is_not_there(
    alice: Client, sounds: DatasetVersion, changed: dict[str, int]
) -> None:
    # At 0 a picture begins, which is no sound; nor is a sound an image.
    row = sounds.preview["sounds"][0]
    assert alice.get(address(sounds, row, **changed)).status_code == 404
    assert alice.get(address(sounds, row).replace("/sounds/", "/images/")).status_code == 404


def test_another_teams_sounds_are_not_there(
    client: Client, cast: Cast, sounds: DatasetVersion
) -> None:
    client.force_login(cast.mallory)
    assert client.get(address(sounds, sounds.preview["sounds"][0])).status_code == 404


def test_splits_and_settings_are_those_of_sounds(cast: Cast, sounds: DatasetVersion) -> None:
    assert [one.examples for one in figures.splits(sounds)] == [80, 6, 8]
    told = [str(label) for label, _value in figures.settings_used(sounds)]
    assert "Mel bands" in told
    assert "Folders are classes" in told
    assert "Longest side (pixels)" not in told
    assert "Text column" not in told
    told = [str(label) for label, _value in figures.settings_used(make_version(cast))]
    assert "Mel bands" not in told
    assert "Folders are classes" not in told


def test_a_zip_of_sounds_is_taken_and_settings_go_with_it(alice: Client, cast: Cast) -> None:
    sent = {
        "name": "Shed",
        "format": "sounds",
        "validation_percent": "10",
        "test_percent": "20",
        "seed": "1",
        "sound_rate": "",
        "sound_seconds": "0.75",
        "mel_bands": "40",
        "window_ms": "64",
        "hop_ms": "20",
        "folders_are_classes": "on",
    }
    file = SimpleUploadedFile("shed.zip", archive(class_folders(4)))
    answer = alice.post("/data/new", sent | {"file": file})
    assert answer.status_code == 302
    spec = DatasetVersion.objects.get().job.spec
    assert spec["sound_rate"] is None
    assert (spec["sound_seconds"], spec["mel_bands"], spec["hop_ms"]) == (0.75, 40, 20)
    assert spec["same_level"] is False
    wrong = {"mel_bands": "42", "hop_ms": "40", "name": "Barn"}
    refused = alice.post("/data/new", sent | wrong | {"file": SimpleUploadedFile("x.wav", b"RIFF")})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "multiple of 4" in page or "half of the window" in page
    assert "Sounds come in a ZIP archive" in page


def test_pages_that_list_data_count_sounds(alice: Client, sounds: DatasetVersion) -> None:
    assert "94" in alice.get("/data/").content.decode()
    with translation.override("en"):
        assert "94 sounds" in alice.get("/").content.decode()
