"""Do other targets help where labels are few? The Adult census, income known of 300 people.

    python -m benchmarks.experiments multi_task [--seeds 0 1 2 3]

The rows and splits are those of the experiment ``adult``: 48,842, a tenth each for validation and
test. Of the training rows 300, drawn by the seed, keep their income; of the others that label is
missing, as in a table of which only a part was ever asked. Validation and test rows keep theirs.

*Several*: income is the main target, with three times the weight of the others; whom one lives with
(``relationship``) and hours a week are learned beside it, from all training rows. Both are asked
more easily than an income. They were chosen among three pairs, and the weight among five, with the
seeds 10 to 15, none of which is run here. They are targets and no inputs, in every run. *Single*:
the run that the portal makes as its twin, the same columns, network, seed, steps and batch size
with income alone, which leaves 300 rows. Both keep the weights of the best validation loss of
income. *Learned*: several, with their weights learned. *Trees*: scikit-learn's, on the 300 rows.

Bar, for every seed: several ≥ single + 0.003, area under the ROC curve of income on the test rows.
Below it the exit code is 1. Learned weights and trees are told beside.

Expected: see ``docs/methods/multi_task.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.adult import census
from benchmarks.experiments.transfer import work
from training.methods.task_related.multi_task_spec import MultiTaskSpec, single_task_twin

TARGETS = ["income", "relationship", "hours-per-week"]
#: What counts how much; learned weights need none.
TASKS = ["income = 3", *TARGETS[1:]]
LABELLED = 300
ABOVE_SINGLE = 0.003
#: Chosen by the validation rows of the seeds 0 to 2 (docs/methods/multi_task.md says among what);
#: so strong a dropout and so low a rate are best for income alone, too.
SETTINGS: dict[str, Any] = {
    "training": {"steps": 1000, "learning_rate": 0.001, "dropout": 0.5, "main_share": 0.1}
}


def main(arguments: list[str]) -> None:
    """Run for each seed; print a row for each."""
    parser = argparse.ArgumentParser(prog="multi_task", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--out", type=Path, help="keep everything here, and go on from it")
    options = parser.parse_args(arguments)
    missed = []
    columns = ["seed", "several", "single", "gain", "learned weights", "trees", "seconds"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = (options.out or Path(scratch)).resolve()
        out.mkdir(parents=True, exist_ok=True)
        upload = census(out)
        for seed in options.seeds:
            folder = out / f"seed-{seed}"
            folder.mkdir(exist_ok=True)
            dataset = prepare(seed, upload, folder)
            reports = {
                name: work("run", one, folder / name) for name, one in specs(seed, dataset).items()
            }
            print(row(seed, reports), flush=True)
            if gain(reports) < ABOVE_SINGLE:
                missed.append(f"{gain(reports):+.4f} with seed {seed}")
    if missed:
        sys.exit(f"Less than {ABOVE_SINGLE} above single: {'; '.join(missed)}.")
    print("The bar is kept by every seed.")


def prepare(seed: int, upload: Path, folder: Path) -> Path:
    """The data set of a seed, with income in 300 training rows."""
    dataset = folder / "data" / "dataset"
    settings = {
        "path": str(upload),
        "format": "table",
        "targets": TARGETS,
        "validation_percent": 10,
        "test_percent": 10,
        "seed": seed,
    }
    work("prepare", settings, folder / "data")
    few = folder / "few"
    if not few.is_dir():
        few.mkdir()
        for path in dataset.iterdir():
            (few / path.name).symlink_to(path)
        forget(few / "train.parquet", seed)
    return few


def forget(split: Path, seed: int) -> None:
    """Take the main target away from all rows but 300."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(split)
    split.unlink()
    place = table.column_names.index(TARGETS[0])
    known = np.array(table.column(place).to_pylist(), object)
    kept = np.random.default_rng(seed).permutation(np.flatnonzero(known != None))[:LABELLED]  # noqa: E711
    few = np.full(len(known), None, object)
    few[kept] = known[kept]
    names = pa.array(few.tolist(), table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), names), split)


def specs(seed: int, dataset: Path) -> dict[str, dict[str, Any]]:
    """The runs of a seed."""
    several = MultiTaskSpec.model_validate(
        {"seed": seed, "data": {"path": str(dataset)}, "tasks": TASKS} | SETTINGS
    )
    single = single_task_twin(several)
    assert single is not None
    training = several.training.model_copy(update={"weighting": "uncertainty"})
    plain = [one.model_copy(update={"weight": 1.0}) for one in several.tasks]
    learned = several.model_copy(update={"training": training, "tasks": plain})
    found = {"several": several, "single": single, "learned": learned}
    return {name: json.loads(one.model_dump_json()) for name, one in found.items()}


def auc(report: Mapping[str, Any], side: str = "model") -> float:
    """Area under the ROC curve of income on the test rows."""
    return float(report["tasks"][0]["scores"][side]["auc"])


def gain(reports: Mapping[str, Mapping[str, Any]]) -> float:
    """What the other targets gave."""
    return auc(reports["several"]) - auc(reports["single"])


def row(seed: int, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """A line of the table in the method's page."""
    cells = [
        str(seed),
        f"{auc(reports['several']):.4f}",
        f"{auc(reports['single']):.4f}",
        f"{gain(reports):+.4f}",
        f"{auc(reports['learned']):.4f}",
        f"{auc(reports['single'], 'boosting'):.4f}",
        " / ".join(f"{report['duration_s']:.0f}" for report in reports.values()),
    ]
    return "| " + " | ".join(cells) + " |"
