"""Every method: a plain dictionary. Light: importing it imports no TensorFlow."""

from __future__ import annotations

from training.methods.contract import LoopMethod, Method, WorkMethod
from training.methods.feature_matching import frozen_features, moco
from training.methods.self_supervised import causal_lm
from training.methods.task_related import (
    byol,
    cgan,
    classification,
    conditional_lm,
    cvae,
    ensemble,
    multi_task,
    regression,
    simclr,
    simsiam,
    token_classification,
    wide_deep,
)

#: Those on two views of an image (:mod:`training.siamese`).
SIAMESE_METHODS: dict[str, LoopMethod] = {
    method.name: method for method in (simclr.METHOD, byol.METHOD, simsiam.METHOD, moco.METHOD)
}
#: Those that make images of classes (:mod:`training.generative`).
GENERATIVE_METHODS: dict[str, LoopMethod] = {
    method.name: method for method in (cvae.METHOD, cgan.METHOD)
}
LOOP_METHODS: dict[str, LoopMethod] = (
    {
        method.name: method
        for method in (
            causal_lm.METHOD,
            classification.METHOD,
            regression.METHOD,
            token_classification.METHOD,
            wide_deep.METHOD,
            multi_task.METHOD,
            conditional_lm.METHOD,
        )
    }
    | SIAMESE_METHODS
    | GENERATIVE_METHODS
)
WORK_METHODS: dict[str, WorkMethod] = {
    method.name: method for method in (frozen_features.METHOD, ensemble.METHOD)
}
METHODS: dict[str, Method] = {**LOOP_METHODS, **WORK_METHODS}
