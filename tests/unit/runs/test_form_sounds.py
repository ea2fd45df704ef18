"""Making sounds of classes: the form follows the data, and what is made can be played."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.factories import Cast
from tests.factories.datasets import SOUND, make_images, make_sounds
from tests.factories.runs import make_source, set_state
from tests.sounds import tone, wav
from tests.unit.runs.test_form_generative import FORMS, NANO, PNG, form_of, report_of, started
from webapp.jobs.models import JobEvent, State
from webapp.runs.form_generative import CVAEForm, GenerativeForm
from webapp.runs.models import Run
from webapp.runs.sources import run_config, source_of


@pytest.fixture
def sounds(cast: Cast, tmp_path: Path) -> Any:
    return make_sounds(cast, folder=tmp_path)


def maker(cast: Cast, method: str, size: tuple[int, int], **sound: Any) -> Any:
    changes = {"num_classes": 2, "image_px": size[0], "width_px": size[1]}
    config = NANO[method].model_copy(update=changes)
    card = {"classes": ["high", "low"], "sound": SOUND | sound}
    return make_source(
        cast, name="Maker", config=config, architecture=config.architecture, card=card
    )


def transfer(kind: type[GenerativeForm], cast: Cast, version: Any, source: Any) -> GenerativeForm:
    values = {"data": str(version.pk), "how": "transfer", "source": f"checkpoint/{source.pk}"}
    return form_of(kind, cast, **values)


@pytest.mark.parametrize("kind", FORMS)
def test_the_model_has_the_size_of_the_sounds(
    kind: type[GenerativeForm], cast: Cast, sounds: Any
) -> None:
    form = form_of(
        kind,
        cast,
        data=str(sounds.pk),
        model__image_px="64",
        model__in_channels="3",
        judge__checkpoint="store:checkpoint/00000000-0000-0000-0000-000000000000",
    )
    spec = form.validate()
    assert spec is not None, form.errors
    assert spec.model.size == (28, 32)
    assert spec.model.in_channels == 1
    assert spec.judge.checkpoint == ""
    assert form.config.size == (28, 32)
    again = kind.from_spec(spec.model_dump(mode="json"), cast.team)
    assert again.errors == {}
    assert again.validate() == spec


@pytest.mark.parametrize("kind", FORMS)
def test_images_stay_square(kind: type[GenerativeForm], cast: Cast, tmp_path: Path) -> None:
    version = make_images(cast, folder=tmp_path)
    assert form_of(kind, cast, data=str(version.pk)).validate().model.width_px is None


def test_choosing_sounds_sets_how_many_are_heard(cast: Cast, sounds: Any) -> None:
    form = CVAEForm.of(cast.team)
    form.choose_data(sounds.pk)
    assert form.values["evaluation.samples"] == "4"
    assert form.validate().evaluation.samples == 4


def test_a_source_must_make_sounds_like_them(cast: Cast, sounds: Any, tmp_path: Path) -> None:
    form = transfer(CVAEForm, cast, sounds, maker(cast, "cvae", (28, 32)))
    assert form.validate() is not None, form.errors
    form = transfer(CVAEForm, cast, sounds, maker(cast, "cvae", (28, 40)))
    assert form.validate() is None
    assert "28 × 40" in form.errors["source"][0]
    form = transfer(CVAEForm, cast, sounds, maker(cast, "cvae", (28, 32), rate=16_000))
    assert form.validate() is None
    assert "16000 Hz" in form.errors["source"][0]
    (tmp_path / "images").mkdir()
    images = make_images(cast, folder=tmp_path / "images")
    form = transfer(CVAEForm, cast, images, maker(cast, "cvae", (28, 32)))
    assert form.validate() is None
    assert "squares" in form.errors["source"][0]


def test_what_a_run_will_make_is_a_source_of_its_size(cast: Cast, sounds: Any) -> None:
    run = started(cast, sounds, CVAEForm)
    assert run_config(run).size == (28, 32)
    source = source_of(f"store:run/{run.pk}", cast.team, "cvae")
    assert source is not None
    assert source.config.size == (28, 32)


def test_the_form_says_what_is_learned_and_hides_what_only_images_have(
    alice: Client, sounds: Any
) -> None:
    page = alice.get(f"{reverse('runs:new')}?method=cvae&data={sounds.pk}").text
    assert "sounds, 2 classes" in page
    assert "28 mel bands by 32 moments are learned, 0.51 seconds at 8,000 Hz" in page
    assert "data-of-sounds" in page
    assert "data-for-images" in page
    blank = alice.get(f"{reverse('runs:new')}?method=cvae").text
    assert "data-of-sounds" not in blank


# --- what is heard -----------------------------------------------------------------------------


def told(run: Run, seq: int, step: int, name: str, kind: str = "samples", sounds: int = 3) -> None:
    data = {"step": step, "prompt": name, "text": "", "set": kind, "type": "image/png"}
    data |= {"image": base64.b64encode(PNG).decode(), "sounds": sounds, "columns": 2}
    event(run, seq, "sample", step, data)


def heard(run: Run, seq: int, step: int, place: int, content: bytes) -> None:
    data = {"step": step, "place": place, "sound": base64.b64encode(content).decode()}
    event(run, seq, "sound", step, data)


def event(run: Run, seq: int, kind: str, step: int, data: dict[str, Any]) -> None:
    JobEvent.objects.create(
        job=run.job, seq=seq, at=timezone.now(), kind=kind, step=step, data=data
    )


@pytest.fixture
def run(cast: Cast, sounds: Any) -> Run:
    """Two rows of three sounds, and a row that its process was killed at."""
    made = started(cast, sounds, CVAEForm)
    for row, name in ((10, "high"), (20, "low")):
        told(made, row, 5, name)
        for place in range(3):
            heard(made, row + 2 + 2 * place, 5, place, wav(tone(100 * row + place)))
    told(made, 30, 5, "torn")
    heard(made, 31, 5, 0, wav(tone(440)))
    told(made, 32, 5, "next")
    heard(made, 33, 5, 0, wav(tone(550)))
    heard(made, 34, 5, 1, b"<script>")
    return made


def sound(run: Run, seq: int, place: int) -> str:
    return reverse("runs:sound", args=[run.pk, seq, place])


def test_each_sound_is_that_of_its_picture(alice: Client, run: Run) -> None:
    for row in (10, 20):
        for place in range(3):
            answer = alice.get(sound(run, row, place))
            assert answer.status_code == 200
            assert answer["Content-Type"] == "audio/wav"
            assert answer.content == wav(tone(100 * row + place))
    assert alice.get(sound(run, 10, 1), headers={"Range": "bytes=0-3"}).content == b"RIFF"


@pytest.mark.parametrize(("seq", "place"), [(10, 3), (30, 1), (32, 1), (32, 2), (99, 0)])
def test_what_was_not_told_is_not_there(alice: Client, run: Run, seq: int, place: int) -> None:
    assert alice.get(sound(run, seq, place)).status_code == 404


def test_another_teams_sounds_are_not_there(client: Client, cast: Cast, run: Run) -> None:
    client.force_login(cast.mallory)
    assert client.get(sound(run, 10, 0)).status_code == 404


def test_a_row_has_a_button_below_each_picture(alice: Client, run: Run) -> None:
    page = alice.get(reverse("runs:detail", args=[run.pk])).text
    for place in range(3):
        assert f'href="{sound(run, 10, place)}"' in page
    assert "Play high, 3" in page
    assert "js/listen" in page
    # As the pictures stand: two in the first line, one in the second.
    lines = page.split('class="plays"')[1].split("</figure>")[0]
    assert lines.count("<div>") == 2


def test_the_reports_rows_can_be_heard_too(alice: Client, run: Run) -> None:
    told(run, 40, 9, "high", "made", 1)
    heard(run, 41, 9, 0, wav(tone(880)))
    set_state(run, State.SUCCEEDED, report=report_of(sound=SOUND))
    page = alice.get(reverse("runs:report", args=[run.pk])).text
    assert f'href="{sound(run, 40, 0)}"' in page
    assert "Every one is heard as a sound that has this picture" in page
    assert "Distance from real ones" in page


def test_a_page_that_lists_samples_reads_no_sound(alice: Client, run: Run) -> None:
    with CaptureQueriesContext(connection) as queries:
        alice.get(reverse("runs:detail", args=[run.pk]))
    assert not [one for one in queries if "'sound'" in one["sql"]]
