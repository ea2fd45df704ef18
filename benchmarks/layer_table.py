"""The layer table of a 6 GB checkpoint: its header read, and its page in the portal.

    python -m benchmarks layer_table

A safetensors file with the header of GPT-2 XL in float32 (6.2 GB), and one with 10,000 tensors of
the same size in all. The files are sparse: behind the header is nothing but a length, so what a
reader takes from the disk can be counted. Then the portal's pages for rows that hold as many
tensors: the whole page with one block open, and the rows of another block as htmx asks for them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.backbones.gpt2.config import PRESETS
from training.weights.header import read_header

BAR_S = 0.2
MANY = 10_000
#: Ten tensors a layer, as most transformers have; together as many values as GPT-2 XL.
PARTS = ("q", "k", "v", "o", "up", "down", "gate", "norm_1", "norm_2", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(prog="layer_table", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    xl = {tensor.name: tensor.shape for tensor in PRESETS["gpt2-xl"].tensors()}
    many = {
        f"model.layers.{number // 10}.{PARTS[number % 10]}.weight": (395, 395)
        for number in range(MANY)
    }
    print("| what | tensors | seconds, median (lowest, highest) | of the processor | bytes read |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for name, shapes in (("GPT-2 XL, float32", xl), (f"{MANY:,} tensors", many)):
            path = Path(scratch) / "model.safetensors"
            header = make_sparse(path, shapes)
            size, held = path.stat().st_size, path.stat().st_blocks * 512
            assert held < header + (1 << 20), "the file is not sparse here"
            before = bytes_read()
            read_header(path)
            read = bytes_read() - before
            # The header, and no more than the buffer of a file that was opened.
            assert read < header + (1 << 18), (read, header)
            found = timed(lambda path=path: read_header(path), options.rounds)
            told(f"header of {size / 1e9:.1f} GB ({name})", len(shapes), found, f"{read:,}")
            path.unlink()
        with Portal(Path(scratch)) as portal:
            for name, shapes in (("GPT-2 XL", xl), (f"{MANY:,} tensors", many)):
                page, rows = portal.addresses(name, shapes)
                found = timed(lambda page=page: portal.get(page), options.rounds)
                told(f"page ({name})", len(shapes), found, "no file")
                found = timed(lambda rows=rows: portal.get(rows, htmx=True), options.rounds)
                told(f"rows of a block ({name})", len(shapes), found, "no file")


@dataclass(frozen=True)
class Round:
    """Seconds on the clock, and of the processor, which other work does not change."""

    wall: float
    processor: float


def told(what: str, tensors: int, rounds: Sequence[Round], read: str) -> None:
    walls = [one.wall for one in rounds]
    processor = statistics.median(one.processor for one in rounds)
    print(
        f"| {what} | {tensors:,} | {statistics.median(walls):.3f} "
        f"({min(walls):.3f}, {max(walls):.3f}) | {processor:.3f} | {read} |",
        flush=True,
    )
    if processor > BAR_S:
        raise SystemExit(f"{what}: {processor:.3f} s, more than {BAR_S} s.")


def timed(action: Callable[[], Any], rounds: int) -> list[Round]:
    """Every round; one goes before and does not count."""
    action()
    found = []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        action()
        found.append(Round(time.perf_counter() - began, time.process_time() - used))
    return found


def make_sparse(path: Path, shapes: Mapping[str, Sequence[int]]) -> int:
    """A valid safetensors file of float32 zeros of which only the header is on the disk.

    Returns:
        Bytes of the header.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {
            "dtype": "F32",
            "shape": list(shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + position)
    return 8 + len(text)


def bytes_read() -> int:
    """What this process has read with system calls (Linux)."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/io has no rchar")


class Portal:
    """The portal's views without a server, on a data folder of their own, in one team.

    Args:
        folder: Where its database goes.
    """

    def __init__(self, folder: Path) -> None:
        os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
        os.environ["GRAFT_DATA_DIR"] = str(folder / "data")
        for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL"):
            os.environ.pop(name, None)

    def __enter__(self) -> Portal:
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command
        from django.test import Client
        from django.test.utils import override_settings

        # As in tests: the manifest of collectstatic is not there.
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        settings.STATIC_ROOT.mkdir(parents=True)
        self._settings = override_settings(
            STORAGES=settings.STORAGES | {"staticfiles": plain}, ALLOWED_HOSTS=["testserver"]
        )
        self._settings.enable()
        call_command("migrate", verbosity=0)
        from webapp.accounts.models import Membership, Team, User

        self.team = Team.objects.create(name="Bench")
        self.user = User.objects.create_user("bench@example.org")
        Membership.objects.create(team=self.team, user=self.user, role=Membership.Role.ADMIN)
        self.client = Client()
        self.client.force_login(self.user)
        return self

    def __exit__(self, *_: object) -> None:
        from django.db import connection

        connection.close()
        self._settings.disable()

    def addresses(self, name: str, shapes: Mapping[str, Sequence[int]]) -> tuple[str, str]:
        """Makes a checkpoint's row; the addresses of its page and of its last block's rows."""
        from webapp.checkpoints import layers
        from webapp.checkpoints.models import Checkpoint

        checkpoint = Checkpoint.objects.create(
            name=name,
            origin=Checkpoint.Origin.UPLOAD,
            team=self.team,
            owner=self.user,
            architecture="gpt2" if "transformer.wte.weight" in shapes else "other",
            parameters=1_557_611_200,
            size=6_230_000_000,
            weights_sha256="ab" * 32,
            tensors=[
                {"name": name, "dtype": "F32", "shape": list(shape)}
                for name, shape in shapes.items()
            ],
        )
        block = layers.blocks(checkpoint)[-1].name
        page = f"/checkpoints/{checkpoint.pk}"
        return page, f"{page}/layers?block={block}"

    def get(self, address: str, *, htmx: bool = False) -> None:
        answer = self.client.get(address, headers={"HX-Request": "true"} if htmx else {})
        assert answer.status_code == 200, answer.status_code


if __name__ == "__main__":
    main()
