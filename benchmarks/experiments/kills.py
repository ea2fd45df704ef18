"""Kill a training again and again at random moments: same curve, nobody twice, nobody left.

    python -m benchmarks.experiments kills --kills 20

Expected: for each of training process, work-horse and worker twenty kills spread over a few runs;
every run ends by itself with the curve of an undisturbed run, bit for bit on a CPU; never two
trainers of one run; every killed family gone within five seconds. About half an hour on two cores.
Exit code 1 where any of it is not so.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import small_run
from tests.faults.kills import GONE_WITHIN_S, Disturbed, disturb
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
        problems = [
            problem for who in options.who or WHO for problem in _kill(who, spec, curve, options)
        ]
    if problems:
        sys.exit("\n".join(problems))
    print("Every promise is kept.")


def broken(who: str, found: Disturbed, curve: dict) -> list[str]:
    """What a disturbed run did not keep of what is promised.

    Args:
        who: Was killed.
        found: What the run went through; it has ended by itself.
        curve: Of an undisturbed run.
    """
    problems = []
    if found.curve != curve:
        problems.append("it ended with another curve")
    if found.most_trainers != 1:
        problems.append(f"{found.most_trainers} trainers were seen at once")
    if len(found.gone_s) != found.kills:
        problems.append(f"{len(found.gone_s)} of {found.kills} killed families were gone")
    elif max(found.gone_s, default=0) > GONE_WITHIN_S:
        problems.append(f"a killed family lived for {max(found.gone_s):.1f} s")
    return [f"{who}: {problem}" for problem in problems]


def _kill(who: str, spec: dict, curve: dict, options: argparse.Namespace) -> list[str]:
    """Kill one of the three as often as asked, print its row; the promises that were broken."""
    chance = random.Random(f"{options.seed}{who}")
    kills = runs = equal = most = 0
    gone: list[float] = []
    problems: list[str] = []
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
        problems += broken(who, found, curve)
    took = time.monotonic() - began
    print(f"| {who} | {kills} | {runs} | {equal} | {most} | {max(gone):.2f} s |", end="")
    print(f"  <!-- {took:.0f} s -->", flush=True)
    return problems
