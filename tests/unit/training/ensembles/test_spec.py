"""What a spec of an ensemble refuses, with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from training.ensembles.folder import MemberConfig
from training.ensembles.spec import MOST_MEMBERS, EnsembleSpec
from training.settings import problems

DATA = {"path": "data"}


def members(*names: str) -> list[dict[str, str]]:
    return [{"checkpoint": name} for name in names]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"members": members("a")}, "An ensemble takes two members or more."),
        ({"members": []}, "An ensemble takes two members or more."),
        ({"members": members("a", "b", "a")}, "A member is named twice."),
        (
            {"members": members("a", "b"), "checkpoint": "c"},
            "An ensemble that is there has its own members.",
        ),
    ],
)
def test_too_few_or_too_many_are_refused_at_the_members(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        EnsembleSpec.model_validate({"data": DATA, **parts})
    (problem,) = problems(refused.value)
    assert (problem.field, problem.message) == ("members", said)


def test_so_many_members_and_no_more() -> None:
    names = [str(number) for number in range(MOST_MEMBERS + 1)]
    EnsembleSpec.model_validate({"data": DATA, "members": members(*names[1:])})
    with pytest.raises(ValidationError):
        EnsembleSpec.model_validate({"data": DATA, "members": members(*names)})


@pytest.mark.parametrize("folder", ["../other", "/etc", "members/../../other", "members/0\n", ""])
def test_members_lie_in_the_ensemble_s_own_folder(folder: str) -> None:
    about = {"architecture": "bert", "parameters": 1, "weights_sha256": "ab", "inputs": {}}
    assert MemberConfig.model_validate(about | {"folder": "members/0"}).folder == "members/0"
    with pytest.raises(ValidationError):
        MemberConfig.model_validate(about | {"folder": folder})
