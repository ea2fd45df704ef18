"""Preparing a file far larger than the memory it may take."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTE = 10**6

#: Prints the most memory that the program itself held, MB. (``ru_maxrss`` would not do: it also
#: counts what pytest held, TensorFlow and all, when it forked.)
RUN = """
import sys
from pathlib import Path
from training.data.prepare import run
from training.events import EventLog
from training.data.prepare_spec import PrepareSpec
out = Path(sys.argv[2])
run(PrepareSpec(path=sys.argv[1]), out, EventLog(out / "events.jsonl"))
peak = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
print(int(peak.split()[1]) // 1000)
"""


def write_rows(path: Path, size: int, characters: int) -> int:
    """Rows of about so many characters, words drawn at random; gives how many."""
    draw = random.Random(0)
    words = [
        "".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(5000)
    ] + list("床前明月光疑是地上霜")
    # Cut out of one pool at random places: to draw every word anew takes longer than the test.
    pool = " ".join(draw.choices(words, k=max(200_000, characters // 3)))
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            start = draw.randrange(len(pool) - characters)
            text = f"{rows} {pool[start : start + characters]}"  # no two alike
            file.write(json.dumps({"text": text, "row": rows}, ensure_ascii=False) + "\n")
            rows += 1
    return rows


def peak_mb(path: Path, out: Path) -> int:
    out.mkdir()
    run = [sys.executable, "-c", RUN, str(path), str(out)]
    return int(subprocess.check_output(run, text=True))


@pytest.fixture(scope="module")
def base_mb(tmp_path_factory) -> int:
    """What the process takes with next to no data."""
    folder = tmp_path_factory.mktemp("small")
    write_rows(folder / "small.jsonl", MEGABYTE // 10, 150)
    return peak_mb(folder / "small.jsonl", folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size_mb", "characters", "more_mb"),
    [
        # Holding the texts would take 40 MB more, for which neither limit leaves room.
        (40, 150, 60),  # 270,000 rows, of each about a hundred bytes are kept
        (40, MEGABYTE, 75),  # forty rows: some copies of one at a time
    ],
)
def test_memory_stays_bounded_on_a_large_file(tmp_path, base_mb, size_mb, characters, more_mb):
    path, out = tmp_path / "large.jsonl", tmp_path / "out"
    rows = write_rows(path, size_mb * MEGABYTE, characters)
    peak = peak_mb(path, out)
    about = json.loads((out / "dataset" / "dataset.json").read_text())
    assert about["counts"]["documents"] == rows
    assert peak - base_mb < more_mb, (peak, base_mb)


def write_table(path: Path, rows: int) -> None:
    """Rows of five numbers, four categories, and a text that no two rows share."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("a,b,c,d,e,p,q,r,s,note\n")
        for row in range(rows):
            numbers = ",".join(f"{draw.gauss(0, 1):.6f}" for _ in range(5))
            kinds = ",".join(draw.choices("klmnop", k=4))
            file.write(f"{numbers},{kinds},note {row} {'x' * 40}\n")


@pytest.mark.slow
def test_memory_of_a_large_table_is_that_of_a_column(tmp_path):
    write_table(tmp_path / "small.csv", 1_000)
    write_table(tmp_path / "large.csv", 300_000)
    base = peak_mb(tmp_path / "small.csv", tmp_path / "small")
    peak = peak_mb(tmp_path / "large.csv", tmp_path / "large")
    about = json.loads((tmp_path / "large/dataset/dataset.json").read_text())
    assert (about["kind"], about["counts"]["rows"]) == ("table", 300_000)
    # Half a million cells on their way, and the notes: 190 MB. All cells as Python's strings would
    # come to 400.
    assert peak - base < 280, (peak, base)
