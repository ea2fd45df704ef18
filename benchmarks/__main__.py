"""``python -m benchmarks NAME …``; without a name, all of them, one after the other."""

from __future__ import annotations

import subprocess
import sys

#: Each is a module with a command of its own: ``python -m benchmarks.NAME --help``.
BENCHMARKS = (
    "train_step",
    "generate",
    "copy_weights",
    "tensor_statistics",
    "layer_table",
    "published_size",
    "resnext_step",
    "feature_cache",
    "lora_step",
)


def main() -> None:
    name, *arguments = sys.argv[1:] or ["all"]
    if name != "all" and name not in BENCHMARKS:
        sys.exit(f"There is no benchmark {name}: {', '.join(BENCHMARKS)}.")
    failed = []
    for each in BENCHMARKS if name == "all" else (name,):
        print(f"## {each}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{each}", *arguments]
        if subprocess.run(command, check=False).returncode:
            failed.append(each)
        print(flush=True)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
