"""Where GPT-2's published vocabulary lies; without the tokenizers library, for the web process."""

from __future__ import annotations

from pathlib import Path

PUBLISHED_FOLDER = Path(__file__).parent / "gpt2_vocabulary"
VOCABULARY_FILE = PUBLISHED_FOLDER / "vocab.json"
