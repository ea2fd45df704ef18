"""The key that signs sessions: one, whoever starts first, and never an empty one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from webapp.secret_key import kept_key

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_made_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret_key"
    key = kept_key(path)
    assert len(key) > 60
    assert kept_key(path) == key
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]


def test_an_empty_file_of_an_interrupted_start_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.touch()
    key = kept_key(path)
    assert key
    assert kept_key(path) == key


def test_processes_that_start_together_all_have_the_same_key(tmp_path: Path) -> None:
    """Each round is a first start of eight processes; every other one finds an empty file."""
    for number in range(0, 200, 2):
        (tmp_path / str(number)).touch()
    program = (
        "import sys, time; from pathlib import Path; from webapp.secret_key import kept_key\n"
        "folder = Path(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
        "for number in range(200):\n"
        "    print(kept_key(folder / str(number)))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        answers.append(process.communicate(timeout=300)[0].splitlines())
        assert process.returncode == 0
    assert all(all(keys) for keys in answers), "an empty key"
    assert all(keys == answers[0] for keys in answers), "two keys of one start"
    assert len(set(answers[0])) == 200


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from webapp import settings; print(settings.SECRET_KEY)"],
        cwd=ROOT,
        env={"GRAFT_DATA_DIR": str(tmp_path), "GRAFT_SECRET_KEY": "given"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "given"
    assert not (tmp_path / "secret_key").exists()
