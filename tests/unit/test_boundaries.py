"""What may import what: the engine knows nothing of the portal, the web process nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PORTAL = {"django", "webapp", "rq", "django_rq", "redis"}
HEAVY = [
    *("tensorflow", "keras", "keras_hub", "transformers", "tokenizers"),
    *("h5py", "pyarrow", "sklearn", "PIL"),
]


def imports(path: Path) -> Iterator[str]:
    """Top-level names of everything a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "training").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_engine_imports_nothing_of_the_portal(path: Path) -> None:
    assert not PORTAL & set(imports(path))


@pytest.mark.parametrize(
    "modules",
    [
        "webapp.urls, webapp.wsgi",
        "webapp.jobs.supervisor, webapp.jobs.worker, webapp.jobs.interactive",
        "webapp.jobs.reconciler, webapp.jobs.launcher",
        "webapp.runs.jobs, webapp.datasets.jobs, webapp.checkpoints.jobs, webapp.playground.jobs",
        "webapp.checkpoints.statistics_jobs",
    ],
)
def test_web_process_and_workers_import_nothing_heavy(modules: str, tmp_path: Path) -> None:
    code = (
        "import sys, django; django.setup()\n"
        f"import {modules}\n"
        "from django.urls import get_resolver; get_resolver().url_patterns\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "GRAFT_DATA_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
