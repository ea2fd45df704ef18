"""Image networks beside PyTorch's: the table of ``docs/methods/image_backbones_parity.md``.

PyTorch's answers are those in ``tests/parity/reference/images``; nothing else is needed.

make experiments ARGS=images
"""

from __future__ import annotations

import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Print a row a network; arguments: which, none for all."""
    from tests.parity.images import NETWORKS
    from tests.parity.ours import import_folder
    from tests.parity.test_images import difference, loaded, write_theirs

    print("| network | from | parameters | sizes | largest difference |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name in arguments or NETWORKS:
        network = NETWORKS[name]
        with tempfile.TemporaryDirectory() as folder:
            theirs = write_theirs(name, Path(folder) / "theirs")
            checkpoint = import_folder(theirs, Path(folder) / "out")
            found = difference(loaded(network, checkpoint), name)
        parameters = network.config.model_copy(update={"num_classes": 1000}).parameter_count()
        sizes = ", ".join(f"{height}×{width}" for height, width in network.sizes)
        print(f"| {name} | {network.source} | {parameters:,} | {sizes} | {found:.1e} |", flush=True)
