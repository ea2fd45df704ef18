"""Image networks beside PyTorch's: the table of ``docs/methods/image_backbones_parity.md``.

PyTorch's answers are those in ``tests/parity/reference/images``; nothing else is needed. Above 1e-4
for any network, the exit code is 1.

make experiments ARGS=images
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

BAR = 1e-4


def main(arguments: list[str]) -> None:
    """Print a row a network; arguments: which, none for all."""
    from tests.parity.images import NETWORKS
    from tests.parity.ours import import_folder
    from tests.parity.test_images import difference, loaded, write_theirs

    missed = []
    print("| network | from | parameters | sizes | largest difference |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name in arguments or NETWORKS:
        network = NETWORKS[name]
        with tempfile.TemporaryDirectory() as folder:
            theirs = write_theirs(name, Path(folder) / "theirs")
            checkpoint = import_folder(theirs, Path(folder) / "out")
            found = difference(loaded(network, checkpoint), name)
        if not found <= BAR:  # so that NaN misses it too
            missed.append(name)
        parameters = network.config.model_copy(update={"num_classes": 1000}).parameter_count()
        sizes = ", ".join(f"{height}×{width}" for height, width in network.sizes)
        print(f"| {name} | {network.source} | {parameters:,} | {sizes} | {found:.1e} |", flush=True)
    print()
    if missed:
        sys.exit(f"The bar of {BAR:g} is missed by {', '.join(missed)}.")
    print(f"The bar of {BAR:g} is kept by every network.")
