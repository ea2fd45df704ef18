"""Kill a training again and again at random moments: same curve, nobody twice, nobody left.

    python -m benchmarks.experiments kills --kills 20

Expected: for each of training process, work-horse and worker twenty kills spread over a few runs;
every run ends by itself with the curve of an undisturbed run, bit for bit on a CPU; never two
trainers of one run; every killed family gone within five seconds. About half an hour on two cores.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.faults import small_run
from tests.faults.kills import disturb
from tests.faults.site import Site

WHO = ("trainer", "horse", "worker")
KILLS_A_RUN = 4


def main(arguments: list[str]) -> None:
    """Make the kills and print a table of what was found."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each")
    parser.add_argument("--steps", type=int, default=300, help="a run has")
    parser.add_argument("--who", choices=WHO, action="append", help="default: all three")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        spec = small_run.spec(Path(folder), options.steps)
        curve = small_run.undisturbed(spec, Path(folder))
        print("| killed | kills | runs | equal curves | most trainers at once | gone after, most |")
        print("| --- | --- | --- | --- | --- | --- |", flush=True)
        for who in options.who or WHO:
            _kill(who, spec, curve, options)


def _kill(who: str, spec: dict, curve: dict, options: argparse.Namespace) -> None:
    chance = random.Random(f"{options.seed}{who}")
    kills = runs = equal = most = 0
    gone: list[float] = []
    began = time.monotonic()
    while kills < options.kills:
        site = Site(engine=None)
        try:
            site.start_all()
            (job,) = site.create(spec)
            found = disturb(
                site,
                job,
                who,
                kills=min(KILLS_A_RUN, options.kills - kills),
                chance=chance,
                pause_s=(1, 12),
                timeout_s=900,
            )
        finally:
            site.close()
        runs += 1
        kills += found.kills
        equal += found.curve == curve
        most = max(most, found.most_trainers)
        gone += found.gone_s
    took = time.monotonic() - began
    print(f"| {who} | {kills} | {runs} | {equal} | {most} | {max(gone):.2f} s |", end="")
    print(f"  <!-- {took:.0f} s -->", flush=True)
    assert equal == runs, "a disturbed run ended with another curve"
