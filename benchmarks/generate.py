"""Writing text, one sequence, greedy, with a key-value cache: ours beside KerasHub's, in turns.

    python -m benchmarks generate                    nano: 32 tokens read, 64 written
    python -m benchmarks.generate --preset gpt2      the published 124M size, random weights

Ours is the generator of the playground, which hands every token to Python as it comes; KerasHub's
writes all of them inside one compiled loop. Both float32, with the same random weights. A round
ends with the sum of the ids it wrote, so that it shows when the two wrote different text.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.models import keras_hub_model, make_checkpoint, make_dataset
from benchmarks.turns import Side, report, serve, take_turns

MODULE = "benchmarks.generate"
OURS, PEER, PEER_GRAPH = "ours", "KerasHub as shipped", "KerasHub, jit_compile=False"
READ = 32

Work = Callable[[int], tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="generate", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--preset", choices=["nano", "micro", "gpt2"], default="nano")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=64, help="written in a round")
    parser.add_argument("--side", choices=[OURS, PEER, PEER_GRAPH], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve((ours if options.side == OURS else peer)(options.folder, options.side))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dataset = None if options.preset == "gpt2" else make_dataset(folder / "data")
        make_checkpoint(folder / "checkpoint", options.preset, dataset)
        arguments = ("--folder", str(folder / "checkpoint"))
        sides = [Side(MODULE, name, *arguments) for name in (OURS, PEER, PEER_GRAPH)]
        try:
            found = take_turns(sides, options.tokens, options.rounds)
        finally:
            for side in sides:
                side.close()
    print(f"{options.preset}: {READ} tokens read, {options.tokens} written, batch 1, greedy.\n")
    print(report(found, options.tokens, "tokens", OURS))
    sums = {name: rounds[0][1] for name, rounds in found.items()}
    print(f"\nAll wrote the same tokens: {'yes' if len(set(sums.values())) == 1 else sums}.")


def _prompt(vocabulary: int) -> list[int]:
    import numpy as np

    # The last id is end-of-text, which would end the text.
    return np.random.default_rng(0).integers(0, vocabulary - 1, READ).tolist()


def ours(folder: Path, _name: str) -> Work:
    """The playground's generator, from token ids."""
    import itertools

    from training.backbones.gpt2.model import GPT2
    from training.command_specs import GenerateSpec
    from training.data.tokenizer import Tokenizer
    from training.engine.generate import Generator
    from training.weights.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(folder)
    model = GPT2(checkpoint.config)
    model.load_named(checkpoint.tensors())
    tokenizer = Tokenizer.load(folder)
    prompt = _prompt(checkpoint.config.vocab_size)
    tokenizer.encode = lambda _text: list(prompt)  # type: ignore[method-assign]
    generator = Generator(model, tokenizer)

    def work(tokens: int) -> tuple[float, float]:
        request = GenerateSpec(checkpoint="", prompt="x", max_tokens=tokens, temperature=0)
        began = time.perf_counter()
        # Below `stream`, which would stop at an end-of-text that random weights may well choose.
        written = list(itertools.islice(generator._tokens(request), tokens))
        return time.perf_counter() - began, float(sum(written))

    return work


def peer(folder: Path, name: str) -> Work:
    """``GPT2CausalLM.generate`` with the greedy sampler."""
    import numpy as np

    model = keras_hub_model(folder)
    model.compile(sampler="greedy", jit_compile=False if name == PEER_GRAPH else "auto")
    prompt = _prompt(model.backbone.vocabulary_size)

    def work(tokens: int) -> tuple[float, float]:
        ids = np.zeros([1, READ + tokens], np.int32)
        ids[0, :READ] = prompt
        known = np.zeros_like(ids)
        known[0, :READ] = 1
        began = time.perf_counter()
        found = model.generate({"token_ids": ids, "padding_mask": known}, stop_token_ids=None)
        seconds = time.perf_counter() - began
        return seconds, float(np.asarray(found["token_ids"])[0, READ:].sum())

    return work


if __name__ == "__main__":
    main()
