"""Sentences for MiniLM, and where PyTorch's vectors of them lie; imports no PyTorch.

The vectors come from ``.venv-parity/bin/python -m tests.parity.make --minilm FOLDER``.
"""

from __future__ import annotations

from tests.parity.fixtures import REFERENCE

#: ``vectors`` float32 [sentences, 384], special tokens quoted in a text being text there
#: (``split_special_tokens=True``); ``as_tokens`` with ``transformers``' default, being tokens.
VECTORS = REFERENCE / "minilm.safetensors"
#: As its own settings have it.
MOST_TOKENS = 256

SENTENCES = [
    "A whale surfaced beside the ship at dawn.",
    "At sunrise a huge sea animal came up next to the vessel.",
    "Ünïcödé: a naïve café in Zürich, São Paulo and Kraków.",
    "Quarterly revenue grew by 4.2% while costs stayed flat.",
    "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "🐋🌊 whales 👩‍👩‍👧 and a family 🙂",
    "The token [SEP] parts two sentences, and [CLS] stands before them.",
    "한국어 문장과 ﬁne ﬃnancial ligatures",
    "",
    "A long text. " * 120,
]
