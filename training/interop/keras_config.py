"""The configuration in a ``.keras`` file, read as data: which GPT-2 it is, or a refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.interop.keras_gpt2 import Node, graph, output_of
from training.settings import problems

#: What KerasHub's GPT-2 fixes, whatever its file says.
HUB_FUNCTION = {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}
#: Key of ``GPT2Backbone`` → ours.
HUB_FIELDS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "n_layer",
    "num_heads": "n_head",
    "hidden_dim": "n_embd",
    "intermediate_dim": "n_inner",
    "max_sequence_length": "n_positions",
}
#: The same function in float32: the others only compute it with fewer digits.
_POLICIES = frozenset({"float32", "mixed_bfloat16", "mixed_float16"})
#: Keys of a layer that do not change what it computes.
_NEUTRAL = re.compile(r"name|trainable|dtype|seed|\w+_(initializer|regularizer|constraint)")


def read_config(payload: Mapping[str, Any]) -> tuple[GPT2Config, bool, float]:
    """Our configuration, whether it is KerasHub's model, and its dropout rate.

    Args:
        payload: ``config.json`` of a ``.keras`` file, as data.

    Raises:
        TrainingError: ``keras_class``, ``keras_graph``, ``config_*``.
    """
    kind = _class_of(payload)
    if kind == "GPT2CausalLM":
        inner = _object(payload.get("config")).get("backbone")
        payload, kind = _object(inner), _class_of(_object(inner))
    if kind == "GPT2Backbone":
        return _hub_config(_object(payload.get("config")))
    if kind == "Functional":
        return _functional_config(_object(payload.get("config"))), False, 0.0
    raise TrainingError("keras_class", name=kind)


_KNOWN_REGISTERED = {"GPT2CausalLM", "GPT2Backbone"}


def _class_of(item: Mapping[str, Any]) -> str:
    """The class that a part names, refused where the name stands for somebody's own code."""
    kind, registered, module = (
        item.get(name) for name in ("class_name", "registered_name", "module")
    )
    if not isinstance(kind, str):
        raise TrainingError("keras_class", name=str(kind)[:120])
    own = f"keras_hub>{kind}" if kind in _KNOWN_REGISTERED else kind
    if registered not in (None, kind, own):
        raise TrainingError("keras_class", name=str(registered)[:120])
    # Functional models have had several homes; the class alone says what it is.
    if not isinstance(module, str | None) or (module or "keras").split(".")[0] not in (
        "keras",
        "keras_hub",
        "builtins",
    ):
        raise TrainingError("keras_class", name=f"{module}.{kind}"[:120])
    return kind[:120]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TrainingError("config_unreadable", detail="a part of it is not an object")
    return value


def _hub_config(config: Mapping[str, Any]) -> tuple[GPT2Config, bool, float]:
    values: dict[str, Any] = dict(HUB_FUNCTION)
    dropout = 0.0
    for key, value in config.items():
        if key in HUB_FIELDS:
            values[HUB_FIELDS[key]] = value
        elif key == "dropout" and isinstance(value, int | float) and 0 <= value < 1:
            dropout = float(value)
        elif key == "dtype":
            _check_policy(value)
        elif key not in ("name", "trainable"):
            raise TrainingError("config_unknown", name=key[:120])
    return validated(values), True, dropout


def validated(values: Mapping[str, Any]) -> GPT2Config:
    missing = sorted(set(HUB_FIELDS.values()) - set(values))
    if missing:
        raise TrainingError("keras_graph", detail=f"{missing[0]} is missing")
    try:
        return GPT2Config.model_validate(dict(values), strict=True)
    except ValidationError as error:
        problem = problems(error)[0]
        raise TrainingError(
            "config_out_of_range",
            name=problem.field,
            value=str(values.get(problem.field))[:120],
            detail=str(problem),
        ) from error


def _check_policy(value: Any) -> None:
    name = value
    if isinstance(value, Mapping):
        if _class_of(value) != "DTypePolicy":
            raise TrainingError("keras_class", name=_class_of(value))
        name = _object(value.get("config")).get("name")
    if not isinstance(name, str) or name not in _POLICIES:
        raise TrainingError(
            "config_unsupported",
            name="dtype",
            value=str(name)[:120],
            allowed=", ".join(sorted(_POLICIES)),
        )


def _functional_config(config: Mapping[str, Any]) -> GPT2Config:
    """The model whose graph this is, node by node."""
    layers = config.get("layers")
    if not isinstance(layers, list):
        raise TrainingError("keras_graph", detail="layers")
    known = {"InputLayer"} | {node.kind for node in graph(_ANY_TIED) + graph(_ANY_UNTIED)}
    named: dict[str, dict[str, Any]] = {}
    for layer in map(_object, layers):
        if _class_of(layer) not in known:
            raise TrainingError("keras_class", name=_class_of(layer))
        name = layer.get("name")
        if not isinstance(name, str) or name in named:
            raise TrainingError("keras_graph", detail=str(name)[:120])
        named[name] = layer

    def setting(layer: str, name: str) -> Any:
        if layer not in named:
            raise TrainingError("keras_graph", detail=f"{layer} is missing")
        return _object(named[layer].get("config")).get(name)

    activation = "gelu_new"
    if "layer_0_activation" in named:
        activation = setting("layer_0_activation", "activation")
    guess = validated(
        {
            "vocab_size": setting("token_embedding", "input_dim"),
            "n_embd": setting("token_embedding", "output_dim"),
            "n_positions": setting("position_embedding", "input_dim"),
            "n_layer": sum(
                re.fullmatch(r"layer_\d+_attention", name) is not None for name in named
            ),
            "n_head": setting("layer_0_attention", "num_heads"),
            "n_inner": setting("layer_0_feed_forward_in", "units"),
            "layer_norm_epsilon": setting("final_norm", "epsilon"),
            "activation_function": activation,
            "tie_word_embeddings": "head" not in named,
        }
    )
    _check_graph(guess, list(named.values()), config)
    return guess


_ANY_TIED = GPT2Config(n_layer=1)
_ANY_UNTIED = GPT2Config(n_layer=1, tie_word_embeddings=False, activation_function="relu")

Call = tuple[tuple[Any, ...], dict[str, Any]]


def _check_graph(
    config: GPT2Config, layers: list[dict[str, Any]], functional: Mapping[str, Any]
) -> None:
    """The very graph that we write for this configuration, or a refusal that names the node."""
    calls = {str(layer["name"]): _calls(layer) for layer in layers}
    kinds = {str(layer["name"]): _class_of(layer) for layer in layers}
    theirs: dict[str, str] = {}  # our key → the name in the file
    expected = graph(config)

    def resolved(source: Any) -> Any:
        if isinstance(source, list):
            return [resolved(one) for one in source]
        return (theirs.get(source[0]), source[1]) if isinstance(source, tuple) else source

    for node in expected:
        if node.operation:  # Keras names these: found by what they are and what they read
            wanted = tuple(resolved(source) for source in node.calls[0])
            same = [
                name
                for name, kind in kinds.items()
                if kind == node.kind
                and name not in theirs.values()
                and calls[name]
                and calls[name][0][0] == wanted
            ]
            if len(same) != 1:
                raise TrainingError("keras_graph", detail=node.key)
            theirs[node.key] = same[0]
        elif kinds.get(node.key) == node.kind:
            theirs[node.key] = node.key
        else:
            raise TrainingError("keras_graph", detail=node.key)
    by_name = {str(layer["name"]): layer for layer in layers}
    for node in expected:
        name = theirs[node.key]
        _check_settings(node, _object(by_name[name].get("config")))
        wanted_calls = [
            (tuple(resolved(source) for source in sources), dict(node.arguments.get(number, {})))
            for number, sources in enumerate(node.calls)
        ]
        if calls[name] != wanted_calls:
            raise TrainingError("keras_graph", detail=node.key)
    if extra := set(kinds) - set(theirs.values()):
        raise TrainingError("keras_graph", detail=min(extra)[:120])
    output = output_of(config)
    if _flat(functional.get("output_layers")) != [output[0], output[1], 0] or _flat(
        functional.get("input_layers")
    ) != ["tokens", 0, 0]:
        raise TrainingError("keras_graph", detail="output_layers")


def _flat(value: Any) -> Any:
    """``["x", 0, 0]``, or the same in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _calls(layer: Mapping[str, Any]) -> list[Call]:
    """What a layer is called on: ``[((argument, …), {keyword: value}), …]``."""
    found: list[Call] = []
    nodes = layer.get("inbound_nodes")
    for node in nodes if isinstance(nodes, list) else []:
        arguments = tuple(_argument(value) for value in _list(_object(node).get("args")))
        keywords = _object(_object(node).get("kwargs"))
        found.append((arguments, {k: v for k, v in keywords.items() if v is not None}))
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TrainingError("config_unreadable", detail="a part of it is not a list")
    return value


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") != "__keras_tensor__":
        raise TrainingError("keras_class", name=str(value.get("class_name"))[:120])
    history = _object(value.get("config")).get("keras_history")
    if not (isinstance(history, list) and len(history) == 3 and history[2] == 0):
        raise TrainingError("keras_graph", detail="keras_history")
    return history[0], history[1]


def _check_settings(node: Node, config: Mapping[str, Any]) -> None:
    for key, value in node.settings.items():
        if key not in config or config[key] != value or type(config[key]) is not type(value):
            raise TrainingError(
                "config_unsupported",
                name=f"{node.key}.{key}",
                value=str(config.get(key))[:120],
                allowed=json.dumps(value),
            )
    for key, value in config.items():
        if key == "dtype" and node.kind != "InputLayer" and not node.operation:
            _check_policy(value)
        elif key in node.settings or _NEUTRAL.fullmatch(key) or value is None or value is False:
            continue
        else:
            raise TrainingError("config_unknown", name=f"{node.key}.{key}"[:120])
