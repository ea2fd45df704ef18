"""The same as ``test_kills.py`` with real training: the curve is the same bit for bit.

Twenty kills each are made by ``make experiments ARGS=kills``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import small_run
from tests.faults.kills import disturb
from tests.faults.site import Site

#: Longer than the pauses before both kills, on a quick machine too.
STEPS = 2500

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """A spec, and the curve that it leads to undisturbed."""
    folder = tmp_path_factory.mktemp("run")
    spec = small_run.spec(folder, STEPS)
    # Its states are what the kills are about: every 5 steps.
    spec["evaluation"] |= {"every": 100, "sample_every": 500}
    return spec, small_run.undisturbed(spec, folder)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """At work for all of them; who is killed is there again afterwards."""
    site = Site(engine=None)
    site.start_all()
    yield site
    site.close()


@pytest.mark.parametrize("who", ["trainer", "horse", "worker"])
def test_training_survives_being_killed(
    site: Site, run: tuple[dict[str, Any], dict[str, Any]], who: str, tmp_path: Path
) -> None:
    spec, curve = run
    (job,) = site.create(spec)
    found = disturb(
        site, job, who, kills=2, chance=random.Random(who), pause_s=(3, 6), timeout_s=600
    )
    assert found.kills == 2
    assert found.curve == curve
