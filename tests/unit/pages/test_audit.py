"""Every service that changes something writes the audit trail in the change's own transaction."""

import ast
import inspect
from types import ModuleType

import pytest

from webapp.accounts import services as accounts
from webapp.datasets import services as datasets

#: Public functions that change nothing themselves: they read, or leave it to another service.
NOT_CHANGES = {
    (datasets, "disk_full_sentence"),
    (datasets, "raw_of_upload"),
    (datasets, "raw_of_version"),
    (datasets, "upload_take"),
    (datasets, "uploads_expire"),
}


def _functions() -> list[tuple[ModuleType, ast.FunctionDef]]:
    return [
        (module, node)
        for module in (accounts, datasets)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and (module, node.name) not in NOT_CHANGES
    ]


@pytest.mark.parametrize(
    ("module", "node"), _functions(), ids=lambda value: getattr(value, "name", value.__class__)
)
def test_a_service_audits_inside_a_transaction(module: ModuleType, node: ast.FunctionDef) -> None:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    assert "transaction.atomic" in decorators, node.name
    calls = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    assert "audit.record" in calls, node.name


@pytest.mark.parametrize(
    ("module", "node"), _functions(), ids=lambda value: getattr(value, "name", value.__class__)
)
def test_a_service_takes_keywords_only(module: ModuleType, node: ast.FunctionDef) -> None:
    assert not node.args.args, node.name
    assert node.args.kwonlyargs, node.name
