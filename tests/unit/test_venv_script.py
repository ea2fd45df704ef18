"""scripts/venv.sh makes an environment once, mends a broken one, and says plainly what is missing.

The pins here are empty files, so that nothing is downloaded.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "venv.sh"


class Project:
    """A folder with the script and pins without packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "scripts").mkdir()
        shutil.copy(SCRIPT, root / "scripts/venv.sh")
        for name in ("requirements.txt", "requirements-dev.txt", "requirements-parity.txt"):
            self.pin(name, "first")
        self.venv = root / ".venv"
        self.environment = {**os.environ, "PYTHON": sys.executable}
        self.environment.pop("GRAFT_VENV_LOCKED", None)

    def pin(self, name: str, text: str) -> None:
        (self.root / name).write_text(f"# {text}\n")

    def make(self, what: str = "runtime", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "scripts/venv.sh", what],
            cwd=self.root,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_it_installs_once_and_again_only_when_the_pins_change(project: Project) -> None:
    first = project.make("dev")
    assert first.returncode == 0, first.stderr
    assert "Installing" in first.stderr
    ours = project.venv / "a-file-of-the-first-environment"
    ours.touch()

    assert project.make("dev").stderr == ""
    assert project.make("runtime").stderr == "", "the development pins hold the run-time ones"

    project.pin("requirements.txt", "second")
    assert "Installing" in project.make("runtime").stderr
    assert ours.exists(), "other pins need no other environment"
    assert project.make("runtime").stderr == ""
    assert "Installing" in project.make("dev").stderr


def test_what_ctrl_c_left_half_made_is_made_afresh(project: Project) -> None:
    running = subprocess.Popen(
        ["/bin/sh", "scripts/venv.sh", "runtime"],
        cwd=project.root,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A test run in the background of a script ignores Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while not (project.venv / "bin").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout=300) != 0
    assert not (project.venv / ".installed-runtime").exists()

    again = project.make()
    assert again.returncode == 0, again.stderr
    assert "starting afresh" in again.stderr
    assert project.make().stderr == ""


def test_an_environment_whose_python_is_gone_is_made_afresh(project: Project) -> None:
    (project.venv / "bin").mkdir(parents=True)
    (project.venv / "bin/python").symlink_to("/nowhere/python3")

    made = project.make()

    assert made.returncode == 0, made.stderr
    assert "is gone or does not suit" in made.stderr
    assert subprocess.run([project.venv / "bin/python", "-c", ""], check=False).returncode == 0


def test_it_says_so_when_there_is_no_suitable_python(project: Project) -> None:
    made = project.make(PYTHON="python2.7-is-not-here")

    assert made.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in made.stderr
    assert "apt-get install" in made.stderr
    assert not project.venv.exists()


def test_it_says_so_when_the_venv_module_is_missing(project: Project) -> None:
    without = project.root / "python3"
    without.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n'
    )
    without.chmod(0o755)

    made = project.make(PYTHON=str(without))

    assert made.returncode == 1
    assert "apt-get install python3-venv" in made.stderr
    assert not project.venv.exists()
