"""``python -m benchmarks.experiments NAME …``; without a name, all of them."""

from __future__ import annotations

import sys
from importlib import import_module

#: Name → module whose ``main(arguments)`` runs it.
EXPERIMENTS = {
    "transfer": "benchmarks.experiments.transfer",
    "merge": "benchmarks.experiments.merge",
    "wise_ft": "benchmarks.experiments.wise_ft",
    "kills": "benchmarks.experiments.kills",
    "weight_copy": "benchmarks.experiments.weight_copy",
    "minilm": "benchmarks.experiments.minilm",
    "images": "benchmarks.experiments.images",
    "lite0": "benchmarks.experiments.lite0",
}


def main() -> None:
    name, *arguments = sys.argv[1:] or ["all"]
    if name in EXPERIMENTS:
        import_module(EXPERIMENTS[name]).main(arguments)
    elif name == "all":
        for module in EXPERIMENTS.values():
            import_module(module).main([])
    else:
        sys.exit(f"There is no experiment {name}: {', '.join(EXPERIMENTS)}.")


if __name__ == "__main__":
    main()
