"""The scratch twin of a language model's transfer: the same budget without the source."""

from __future__ import annotations

from training.backbones.gpt2.config import GPT2Config
from training.spec import RunSpec


def scratch_twin(spec: RunSpec, source: GPT2Config) -> RunSpec:
    """The same data, tokens, seed, steps and evaluation, but random weights.

    The tokenizer stays the source's where it was: losses per token compare only over the same
    tokens. LoRA goes, since low-rank updates of random weights train nothing of use.

    Args:
        spec: The transfer; has a source.
        source: The source's architecture, used where the transfer names none.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    tokenizer = spec.tokenizer
    if tokenizer.kind == "source":
        tokenizer = tokenizer.model_copy(
            update={"kind": "checkpoint", "checkpoint": spec.source.checkpoint}
        )
    return RunSpec.model_validate(
        spec.model_copy(
            update={
                "source": None,
                "model": spec.model or source,
                "tokenizer": tokenizer,
                "training": spec.training.model_copy(update={"lora": None}),
            }
        ).model_dump()
    )
