from pathlib import Path

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.playground import make_generation
from webapp.jobs.models import State
from webapp.playground import jobs


def test_requests_to_one_checkpoint_share_its_folder(cast: Cast, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(cast)
    first = make_generation(cast, checkpoint=checkpoint)
    second = make_generation(cast, checkpoint=checkpoint)
    other = make_generation(cast, checkpoint=make_checkpoint(cast, files={"config.json": b"1"}))
    folders = [
        jobs.inputs(row.job, {"prompt": "x"}, tmp_path)["checkpoint"]
        for row in (first, second, other)
    ]
    assert folders[0] == folders[1] != folders[2]
    assert (Path(folders[0]) / "model.safetensors").read_bytes() == b"weights"


def test_the_text_grows_and_the_clock_starts_with_the_first_token(cast: Cast) -> None:
    row = make_generation(cast, state=State.RUNNING)
    jobs.stream(row.job, "One", 1)
    row.refresh_from_db()
    started = row.first_token_at
    assert (row.text, row.tokens) == ("One", 1)
    assert started is not None
    jobs.stream(row.job, "One\0two", 2)
    row.refresh_from_db()
    assert (row.text, row.tokens, row.first_token_at) == ("One�two", 2, started)
    assert row.seconds


def test_another_attempt_starts_anew(cast: Cast, tmp_path: Path) -> None:
    row = make_generation(cast, text="half", tokens=4, seconds=1.0)
    jobs.inputs(row.job, {}, tmp_path)
    row.refresh_from_db()
    assert (row.text, row.tokens, row.seconds) == ("", 0, None)


def test_the_end_says_why(cast: Cast) -> None:
    row = make_generation(cast, state=State.RUNNING)
    jobs.finish(row.job, {"text": "All", "tokens": 5, "seconds": 0.5, "reason": "stop"})
    row.refresh_from_db()
    assert (row.text, row.tokens, row.seconds, row.reason) == ("All", 5, 0.5, "stop")
