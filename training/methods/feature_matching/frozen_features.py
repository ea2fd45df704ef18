"""A head on a frozen model's features: the cheapest transfer, and the honest first look at one.

    z = pool(f(x; θ_source)),    p(y | x) = head(z)             only the head is fitted

- Donahue et al., 2014, "DeCAF: A Deep Convolutional Activation Feature"
- Alain and Bengio, 2016, "Understanding intermediate layers using linear classifier probes"

Details people get wrong: dropout is off; padding counts in no pooling; the features' scale and all
that is chosen come from the training texts, never from what is scored; a gain over nothing says
little, so the same head is fitted on the same network with random weights, and word
counts and the commonest class stand beside both.

``docs/methods/frozen_features.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from training.data.labelled import LabelledTexts, class_names, few, labelled_texts
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizers import tokenizer_of
from training.durable import sweep
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.evaluation import baselines
from training.evaluation.classification import (
    Probabilities,
    classification_scores,
    worst_predictions,
)
from training.events import EventLog
from training.features.cache import Cached, cached_features
from training.features.heads import HeadKind, fit_head, save_head
from training.features.texts import TextPooling, require_pooling
from training.hashing import file_hash
from training.methods.contract import WorkMethod
from training.report import describe_dataset, write_report
from training.settings import Settings
from training.spec import CheckpointSpec, DataSpec, DeviceSpec, Seed
from training.weights.checkpoint import Checkpoint, read_checkpoint

#: Predictions that the report shows, and characters of their texts.
SHOWN, SHOWN_CHARACTERS = 100, 400


class FrozenFeaturesSpec(Settings):
    """One head on frozen features, complete: equal specs give equal heads on a CPU."""

    version: Literal[1] = 1
    method: Literal["frozen_features"] = "frozen_features"
    seed: Seed = 0
    data: DataSpec
    source: CheckpointSpec
    pooling: TextPooling = Field(
        "mean",
        title=_("Pooling"),
        description=_(
            "How a text's hidden states become one vector: their mean, their maximum, both, the "
            "first one (BERT's [CLS]) or the last one (models that write)."
        ),
    )
    head: HeadKind = Field(
        "logistic",
        title=_("Head"),
        description=_(
            "What is fitted on the features: logistic regression, a network with one hidden layer, "
            "nearest neighbours, or the distance to each class's mean."
        ),
    )
    examples: int | None = Field(
        None,
        ge=2,
        title=_("Training examples"),
        description=_("Use only so many labelled texts, each class in its share; empty: all."),
    )
    most_tokens: int | None = Field(
        None,
        ge=1,
        le=32_768,
        title=_("Longest text (tokens)"),
        description=_("Longer texts are cut; empty: at the model's context."),
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Texts computed together."),
    )
    control: bool = Field(
        True,
        title=_("Compare with random weights"),
        description=_("Fit the same head on the same network before it learned anything."),
    )
    #: Where features are kept for the next time; empty: in the working directory.
    cache: str = ""
    devices: DeviceSpec = Field(default_factory=DeviceSpec)


@dataclass(frozen=True)
class _Data:
    """What the head is fitted on, what it is scored on, and the classes' names."""

    names: list[str]
    train: LabelledTexts
    scored: LabelledTexts
    split: str

    def splits(self) -> dict[str, LabelledTexts]:
        return {"train": self.train, self.split: self.scored}


@dataclass
class _Features:
    """Features of every split, by split, and what they cost."""

    of: dict[str, Cached] = field(default_factory=dict)

    @property
    def computed_s(self) -> float:
        return sum(one.seconds for one in self.of.values() if not one.hit)

    @property
    def saved_s(self) -> float:
        return sum(one.seconds for one in self.of.values() if one.hit)

    def to_json(self) -> dict[str, Any]:
        return {
            "splits": {
                name: {"texts": len(one.values), "cache": "hit" if one.hit else "miss"}
                for name, one in self.of.items()
            },
            "width": next(iter(self.of.values())).values.shape[1],
            "computed_s": round(self.computed_s, 3),
            "saved_s": round(self.saved_s, 3),
        }


def work(spec: FrozenFeaturesSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Compute or find the features, fit the head, score it beside what it must beat.

    Writes ``head/`` and ``report.json``.

    Args:
        spec: Data, source, pooling, head.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase`` and ``log``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``dataset_without_labels``, ``features_need_text``, ``pooling_sees_nothing``,
            ``examples_fewer_than_classes``, ``checkpoint_*``, ``disk_full_writing``.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    source = read_checkpoint(Path(spec.source.checkpoint))
    require_pooling(source.config, spec.pooling)
    data = _read(spec)
    chosen = np.arange(len(data.train))
    if spec.examples is not None:
        chosen = few(data.train.labels, spec.examples, spec.seed)

    results: dict[str, dict[str, Any]] = {}
    features = _compute(spec, source, data, out, events, random=False)
    head = _fit(spec, data, chosen, features)
    probabilities = head.predict(features.of[data.split].values)
    results["model"] = classification_scores(
        probabilities, data.scored.labels, data.names, spec.seed
    )
    control = None
    if spec.control:
        control = _compute(spec, source, data, out, events, random=True)
        other = _fit(spec, data, chosen, control)
        results["random"] = classification_scores(
            other.predict(control.of[data.split].values), data.scored.labels, data.names, spec.seed
        )
    events.emit("phase", name="evaluating", fraction=None, detail="")
    results |= _baselines(spec, data, chosen)

    save_head(
        head,
        out / "head",
        {
            "classes": data.names,
            "pooling": spec.pooling,
            "most_tokens": spec.most_tokens,
            "weights_sha256": source.weights_sha256,
        },
    )
    write_report(
        out,
        METHOD.name,
        spec,
        time.monotonic() - started,
        {
            "seed": spec.seed,
            "parents": [source.weights_sha256],
            "data": describe_dataset(Path(spec.data.path)),
            "classes": data.names,
            "examples": len(chosen),
            "split": data.split,
            "features": features.to_json(),
            "control": control.to_json() if control is not None else None,
            "head": {"kind": head.kind, "chosen": head.chosen},
            "scores": results,
            "beaten_by": beaten_by(results),
            "predictions": _shown(data, probabilities),
        },
    )
    return {"report": "report.json", "result": "head"}


def beaten_by(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What stands beside the model and is at least as accurate, the best first."""
    mine = results["model"]["accuracy"]
    others = {name: one["accuracy"] for name, one in results.items() if name != "model"}
    return sorted(
        (name for name, accuracy in others.items() if accuracy >= mine),
        key=lambda name: -others[name],
    )


def _read(spec: FrozenFeaturesSpec) -> _Data:
    dataset = Path(spec.data.path)
    names = class_names(dataset)
    train = labelled_texts(dataset, "train", names)
    if not train:
        raise TrainingError("split_missing", field="data.path", split="train")
    for split in ("test", "validation"):
        if scored := labelled_texts(dataset, split, names):
            return _Data(names, train, scored, split)
    raise TrainingError("split_missing", field="data.path", split="validation")


def _compute(
    spec: FrozenFeaturesSpec,
    source: Checkpoint,
    data: _Data,
    out: Path,
    events: EventLog,
    *,
    random: bool,
) -> _Features:
    """Features of every split; the model is built only if some are not in the cache."""
    tokenizer = tokenizer_of(source)
    root = Path(spec.cache) if spec.cache else out / "cache"
    weights = f"random {spec.seed}" if random else source.weights_sha256
    built: list[Any] = []

    def model() -> Any:
        if not built:
            built.append(_model(spec, source, random=random, events=events))
        return built[0]

    found = _Features()
    for split, texts in data.splits().items():
        phase = f"{split}, random weights" if random else split
        parts = {
            "weights": weights,
            "config": source.config.model_dump(mode="json"),
            "texts": file_hash(texts.file),
            "tokenizer": tokenizer.sha256,
            "most_tokens": spec.most_tokens,
            "pooling": spec.pooling,
        }
        found.of[split] = cached_features(
            root, parts, _computing(spec, model, tokenizer, texts, events, phase)
        )
    built.clear()
    gc.collect()
    return found


def _computing(
    spec: FrozenFeaturesSpec,
    model: Callable[[], Any],
    tokenizer: TextTokenizer,
    texts: LabelledTexts,
    events: EventLog,
    phase: str,
) -> Callable[[], np.ndarray]:
    def compute() -> np.ndarray:
        from training.features.texts import text_features

        told = 0.0

        def tell(fraction: float) -> None:
            nonlocal told
            if fraction == 1.0 or time.monotonic() - told > 1:
                told = time.monotonic()
                events.emit("phase", name="features", fraction=round(fraction, 4), detail=phase)

        return text_features(
            model(),
            tokenizer,
            texts.texts,
            spec.pooling,
            most_tokens=spec.most_tokens,
            batch_size=spec.batch_size,
            progress=tell,
        )

    return compute


def _model(spec: FrozenFeaturesSpec, source: Checkpoint, *, random: bool, events: EventLog) -> Any:
    """The source's network with its weights, or with those it would start from."""
    events.emit("phase", name="loading", fraction=None, detail="TensorFlow")
    from training.backbones.registry import model_class
    from training.engine.devices import configure, default_threads
    from training.weights.initial import initial_weights

    configure(spec.devices, default_threads())
    model = model_class(source.config.architecture)(source.config)
    model.load_named(initial_weights(source.config, spec.seed) if random else source.tensors())
    return model


def _fit(spec: FrozenFeaturesSpec, data: _Data, chosen: np.ndarray, features: _Features) -> Any:
    return fit_head(
        spec.head,
        features.of["train"].values[chosen],
        data.train.labels[chosen],
        len(data.names),
        spec.seed,
    )


def _shown(data: _Data, probabilities: Probabilities) -> list[dict[str, Any]]:
    """The predictions with the highest loss, with their texts."""
    found = worst_predictions(probabilities, data.scored.labels, data.names, SHOWN)
    for one in found:
        place = one.pop("place")
        one |= {
            "id": data.scored.ids[place],
            "text": data.scored.texts[place][:SHOWN_CHARACTERS],
        }
    return found


def _baselines(
    spec: FrozenFeaturesSpec, data: _Data, chosen: np.ndarray
) -> dict[str, dict[str, Any]]:
    train, count = data.train.chosen(chosen), len(data.names)
    predicted = {
        "tfidf": baselines.tfidf(train.texts, train.labels, data.scored.texts, count, spec.seed),
        "majority": baselines.majority(train.labels, len(data.scored), count),
    }
    return {
        name: classification_scores(one, data.scored.labels, data.names, spec.seed)
        for name, one in predicted.items()
    }


METHOD: Final = WorkMethod(
    name="frozen_features",
    family="feature_matching",
    title=_("Head on frozen features"),
    summary=_(
        "Compute a model's features once, leave the model as it is, and fit a small classifier."
    ),
    data=("labelled_text",),
    backbones=("bert", "distilbert", "roberta", "gpt2", "gpt3", "opt"),
    settings=FrozenFeaturesSpec,
    example={"data": {"path": "DATASET"}, "source": {"checkpoint": "CHECKPOINT"}},
    work=work,
)
