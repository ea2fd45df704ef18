"""Every method: a plain dictionary. Light: importing it imports no TensorFlow."""

from __future__ import annotations

from training.methods.contract import Method
from training.methods.self_supervised import causal_lm

METHODS: dict[str, Method] = {method.name: method for method in (causal_lm.METHOD,)}
