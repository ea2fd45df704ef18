"""Writes ``tests/parity/reference/siamese.safetensors`` anew; part of ``make parity``.

By lightly's losses and heads [0], for each case of ``tests.parity.siamese``:

- ``CASE.nt_xent``: NTXentLoss without a memory bank, averaged over both directions of all pairs,
  and its gradients;
- ``CASE.info_nce``: the same with a memory bank (MoCo), and the bank after some batches;
- ``CASE.cosine``: NegativeCosineSimilarity, symmetric (SimSiam), and its gradients;
- ``HEAD.…``: projection and prediction heads in training: what comes out, and the running
  statistics after it.

- [0] https://github.com/lightly-ai/lightly
"""

from __future__ import annotations

import sys

import lightly
import torch
from lightly.loss.negative_cosine_similarity import NegativeCosineSimilarity
from lightly.loss.ntx_ent_loss import NTXentLoss
from lightly.models.modules import heads
from safetensors.torch import save_file

from tests.parity.siamese import (
    BOTTLENECK,
    CASES,
    HEADS,
    HIDDEN,
    INPUTS,
    OUTPUTS,
    REFERENCE,
    Case,
    features,
    values,
)

Tensors = dict[str, torch.Tensor]


def main() -> int:
    found: Tensors = {}
    for case in CASES:
        for name, one in (nt_xent(case) | info_nce(case) | cosine(case)).items():
            found[f"{case.name}.{name}"] = one.detach().contiguous()
    for name in HEADS:
        for part, one in through(name).items():
            found[f"{name}.{part}"] = one.detach().contiguous()
    versions = {"lightly": lightly.__version__, "torch": torch.__version__.split("+")[0]}
    save_file(found, REFERENCE, versions)
    print(f"{len(CASES)} cases of losses and {len(HEADS)} heads, of lightly {lightly.__version__}")
    return 0


def given(case: Case) -> list[torch.Tensor]:
    return [torch.from_numpy(one).requires_grad_() for one in case.vectors()]


def with_gradients(name: str, loss: torch.Tensor, inputs: list[torch.Tensor]) -> Tensors:
    gradients = torch.autograd.grad(loss, inputs)
    return {name: loss} | {f"{name}.gradient.{n}": one for n, one in enumerate(gradients)}


def nt_xent(case: Case) -> Tensors:
    first, second, *_others = given(case)
    loss = NTXentLoss(case.temperature)(first, second)
    return with_gradients("nt_xent", loss, [first, second])


def info_nce(case: Case) -> Tensors:
    """The bank changes at each call, and the loss is that with the bank before it."""
    first, second, *more = given(case)
    criterion = NTXentLoss(case.temperature, memory_bank_size=(case.queue, case.width))
    criterion.memory_bank.bank = torch.from_numpy(case.keys())
    criterion.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.long)
    loss = criterion(first, second)
    found = with_gradients("info_nce", loss, [first])
    for keys in (more[0], more[1], second, more[0]):
        criterion(first, keys.detach())
    return found | {"queue": criterion.memory_bank.bank.clone()}


def cosine(case: Case) -> Tensors:
    p1, p2, z1, z2 = given(case)
    criterion = NegativeCosineSimilarity()
    loss = 0.5 * (criterion(p1, z2) + criterion(p2, z1))
    return with_gradients("cosine", loss, [p1, p2, z1, z2])


def through(name: str) -> Tensors:
    """A head's outputs for a batch, in training."""
    predicts = name.endswith("PredictionHead")
    middle = BOTTLENECK if name == "SimSiamPredictionHead" else HIDDEN
    width = OUTPUTS if predicts else INPUTS
    head = getattr(heads, name)(width, middle, OUTPUTS).train()
    state = head.state_dict()
    fresh = ("running_mean", "running_var", "num_batches_tracked")
    for key, value in state.items():
        if not key.endswith(fresh):
            state[key] = torch.from_numpy(values(f"{name}.{key}", tuple(value.shape)))
    head.load_state_dict(state, strict=True)
    found = {"output": head(torch.from_numpy(features(name, width)))}
    # What was drawn for each tensor follows from its name and its shape.
    for key, value in head.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            found[key] = value.clone()
    return found


if __name__ == "__main__":
    sys.exit(main())
