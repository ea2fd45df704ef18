"""A head on a frozen model's features: the cheapest transfer, and the honest first look at one.

    z = pool(f(x; θ_source)),    p(y | x) or y = head(z)        only the head is fitted

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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, model_validator

from training.backbones.registry import BACKBONES
from training.data.labelled import FewExamples, Labelled
from training.durable import durable_folder, json_bytes, sweep
from training.errors import gettext_noop as _
from training.events import EventLog
from training.features.attention import places_seen
from training.features.cache import Cached, cached_features
from training.features.heads import Head, HeadChoice, save_head
from training.features.map import feature_map
from training.features.material import Material, read_material
from training.features.number_heads import NumberHead
from training.features.settings import FeatureSettings
from training.methods.contract import WorkMethod
from training.report import describe_dataset, write_report
from training.settings import field_error
from training.spec import CheckpointSpec, DataSpec, DeviceSpec, Seed
from training.weights.checkpoint import Checkpoint, read_checkpoint


def _as_it_is_called_now(head: Any) -> Any:
    """Specs from before heads predicted numbers say ``logistic``."""
    return "linear" if head == "logistic" else head


class FrozenFeaturesSpec(FeatureSettings):
    """One head on frozen features, complete: equal specs give equal heads on a CPU."""

    version: Literal[1] = 1
    method: Literal["frozen_features"] = "frozen_features"
    seed: Seed = 0
    data: DataSpec
    source: CheckpointSpec
    head: Annotated[HeadChoice, BeforeValidator(_as_it_is_called_now)] = Field(
        "linear",
        title=_("Head"),
        description=_(
            "What is fitted on the features: a linear probe (logistic regression of classes, ridge "
            "regression of numbers), a network with one hidden layer, nearest neighbours, or, of "
            "classes, the distance to each one's mean."
        ),
    )
    examples: FewExamples = None
    control: bool = Field(
        True,
        title=_("Compare with random weights"),
        description=_("Fit the same head on the same network before it learned anything."),
    )
    map: bool = Field(
        True,
        title=_("Map and neighbours"),
        description=_("Lay the examples out by their features, and find each one's nearest."),
    )
    #: Where features are kept for the next time; empty: in the working directory.
    cache: str = ""
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _head_fits(self) -> FrozenFeaturesSpec:
        if self.pooling == "attention" and self.head != "linear":
            raise field_error("attention_needs_logistic", "head")
        return self


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
                name: {"examples": len(one.values), "cache": "hit" if one.hit else "miss"}
                for name, one in self.of.items()
            },
            "width": next(iter(self.of.values())).values.shape[-1],
            "computed_s": round(self.computed_s, 3),
            "saved_s": round(self.saved_s, 3),
        }


def work(spec: FrozenFeaturesSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Compute or find the features, fit the head, score it beside what it must beat.

    Writes ``head/``, ``map/`` if it is asked for, and ``report.json``.

    Args:
        spec: Data, source, pooling, head.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase`` and ``log``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: See :func:`training.features.material.read_material`;
            ``examples_fewer_than_classes``, ``checkpoint_*``, ``disk_full_writing``.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    source = read_checkpoint(Path(spec.source.checkpoint))
    material = read_material(source, spec, Path(spec.data.path))
    answers, chosen = material.answers, np.arange(len(material.train))
    answers.require(spec.head, spec.pooling)
    if spec.examples is not None:
        chosen = answers.few(material.train.labels, spec.examples, spec.seed)

    predicted: dict[str, npt.NDArray[np.float64]] = {}
    features = _compute(spec, material, out, events, random=False)
    _tell_fitting(events, "model")
    head = _fit(spec, material, chosen, features)
    predicted["model"] = head.predict(features.of[material.split].values)
    control = None
    if spec.control:
        control = _compute(spec, material, out, events, random=True)
        _tell_fitting(events, "random")
        other = _fit(spec, material, chosen, control)
        predicted["random"] = other.predict(control.of[material.split].values)
    _tell_fitting(events, "baselines")
    train, scored = material.train.chosen(chosen), material.scored
    predicted |= answers.without_a_model(material.kind, train, scored, spec.seed)
    found = answers.report(material.kind, material.split, train, scored, predicted, spec.seed)
    if spec.map:
        events.emit("phase", name="mapping", fraction=None, detail="")
        pooled = {split: head.pooled(one.values) for split, one in features.of.items()}
        _write_map(spec, material, pooled, predicted["model"], found["predictions"], out)
    save_head(
        head,
        out / "head",
        {
            **answers.about,
            "pooling": spec.pooling,
            **material.own_key(),
            **({"pairs": "text_pair" in train.rows[0]} if material.kind == "text" else {}),
            "weights_sha256": source.weights_sha256,
            "data": describe_dataset(Path(spec.data.path)),
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
            **found,
            "features": features.to_json(),
            "control": control.to_json() if control is not None else None,
            "head": {
                "kind": head.kind,
                "chosen": head.chosen,
                **_attention(head, features.of[material.split].values),
            },
        },
    )
    return {"report": "report.json", "result": "head"}


def _compute(
    spec: FrozenFeaturesSpec, material: Material, out: Path, events: EventLog, *, random: bool
) -> _Features:
    """Features of every split; the model is built only if some are not in the cache."""
    root = Path(spec.cache) if spec.cache else out / "cache"
    weights = f"random {spec.seed}" if random else material.source.weights_sha256
    built: list[Any] = []

    def compute(examples: Labelled, phase: str) -> np.ndarray:
        if not built:
            built.append(_model(spec, material.source, random=random, events=events))
        return material.features(built[0], examples, _telling(events, phase))

    found = _Features()
    for split, examples in material.splits.items():
        phase = f"{split}, random weights" if random else split
        parts = {"weights": weights, **material.key(examples)}
        found.of[split] = cached_features(root, parts, partial(compute, examples, phase))
    built.clear()
    gc.collect()
    return found


def _telling(events: EventLog, detail: str) -> Callable[[float], None]:
    told = 0.0

    def tell(fraction: float) -> None:
        nonlocal told
        if fraction == 1.0 or time.monotonic() - told > 1:
            told = time.monotonic()
            events.emit("phase", name="features", fraction=round(fraction, 4), detail=detail)

    return tell


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


def _tell_fitting(events: EventLog, what: str) -> None:
    """With many classes and wide features a fit takes a minute: say whose it is."""
    events.emit("phase", name="evaluating", fraction=None, detail=what)


def _fit(
    spec: FrozenFeaturesSpec, material: Material, chosen: np.ndarray, features: _Features
) -> Head | NumberHead:
    return material.answers.fit(
        spec.head,
        features.of["train"].values[chosen],
        material.train.labels[chosen],
        spec.seed,
    )


def _attention(head: Head | NumberHead, scored: np.ndarray) -> dict[str, Any]:
    """How many places an example has on average, and over how many attention is spread."""
    if scored.ndim == 2:
        return {}
    seen = places_seen(scored, head.arrays["query"])
    places = places_seen(scored, np.zeros(scored.shape[2]))
    return {"attention": {"places": round(places, 2), "seen": round(seen, 2)}}


def _write_map(
    spec: FrozenFeaturesSpec,
    material: Material,
    features: dict[str, np.ndarray],
    predicted: npt.NDArray[np.float64],
    shown: list[dict[str, Any]],
    out: Path,
) -> None:
    """Write ``map/map.json``, and tell the predictions that are shown where on it they are."""
    place_of = {row["id"]: place for place, row in enumerate(material.scored.rows)}
    wrong = [place_of[one["id"]] for one in shown]
    found = feature_map(material, features, predicted, wrong, spec.seed)
    places = {(point["split"], point["id"]): at for at, point in enumerate(found["points"])}
    for one in shown:
        one["point"] = places[material.split, one["id"]]
    with durable_folder(out / "map", point="map", what="the map") as temporary:
        (temporary / "map.json").write_bytes(json_bytes(found))


METHOD: Final = WorkMethod(
    name="frozen_features",
    family="feature_matching",
    title=_("Head on frozen features"),
    summary=_(
        "Compute a model's features once, leave the model as it is, and fit a small head on them "
        "that tells classes apart or predicts a number."
    ),
    data=("labelled_text", "labelled_image", "numbered_text", "numbered_image"),
    backbones=tuple(key for key, backbone in BACKBONES.items() if backbone.kind != "table"),
    settings=FrozenFeaturesSpec,
    example={"data": {"path": "DATASET"}, "source": {"checkpoint": "CHECKPOINT"}},
    checkpoints=("source.checkpoint",),
    work=work,
)
