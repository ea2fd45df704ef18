"""Task and method are columns: filled when a row is made, and by a migration for older ones."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from training.backbones.registry import BACKBONES
from training.weights.tasks import FEATURES_OF, REGRESSION_OF, TASK_OF, TASKS, task_of
from webapp.checkpoints import selectors
from webapp.checkpoints.models import Checkpoint


def test_every_architecture_has_a_task_and_every_task_a_title() -> None:
    assert set(BACKBONES) <= {architecture for architecture, _head in TASK_OF}
    assert {*TASK_OF.values(), *REGRESSION_OF.values(), *FEATURES_OF.values()} == set(TASKS)
    assert task_of("gpt2", {"n_layer": 2}) == "causal_language_modelling"
    assert task_of("unheard-of", {}) == ""
    for classes, task in (
        (0, "image_features"),
        (1, "image_regression"),
        (9, "image_classification"),
    ):
        assert task_of("resnet", {"num_classes": classes}) == task
    assert task_of("bert", {"head": "classification", "labels": []}) == "text_classification"


def test_a_new_checkpoint_has_them(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    assert (checkpoint.task, checkpoint.method) == ("causal_language_modelling", "causal_lm")


def test_those_that_were_there_are_filled(cast: Cast) -> None:
    cards = {"a": {"method": "import"}, "b": {"method": None}, "c": {}}
    for name, card in cards.items():
        row = make_checkpoint(cast, name=name)
        Checkpoint.objects.filter(pk=row.pk).update(task="", method="", card=card)
    new = make_checkpoint(cast, name="d")
    migration = import_module("webapp.checkpoints.migrations.0003_task_and_method")
    migration.fill(apps, SimpleNamespace(connection=connection))
    found = {row.name: (row.task, row.method) for row in Checkpoint.objects.all()}
    task = "causal_language_modelling"
    assert found == {
        "a": (task, "import"),
        "b": (task, ""),
        "c": (task, ""),
        "d": (new.task, new.method),
    }


def test_networks_without_a_head_and_with_one_output_are_called_what_they_are(cast: Cast) -> None:
    rows = {
        "features": ("resnet", "image_classification", {"num_classes": 0}),
        "number": ("vit", "image_classification", {"num_classes": 1}),
        "classes": ("resnet", "image_classification", {"num_classes": 2}),
        "rating": ("bert", "text_classification", {"head": "classification", "labels": ["stars"]}),
        "topic": ("bert", "text_classification", {"head": "classification", "labels": ["a", "b"]}),
    }
    for name, (architecture, task, config) in rows.items():
        row = make_checkpoint(cast, name=name)
        named = Checkpoint.objects.filter(pk=row.pk)
        named.update(architecture=architecture, task=task, config=config)
    migration = import_module("webapp.checkpoints.migrations.0010_tasks_of_heads")
    migration.fill(apps, SimpleNamespace(connection=connection))
    assert {row.name: row.task for row in Checkpoint.objects.all()} == {
        name: task_of(architecture, config) for name, (architecture, _task, config) in rows.items()
    }


@pytest.mark.parametrize(
    ("method", "title"),
    [
        ("causal_lm", "causal language modelling"),
        ("transfer", "weights copied"),
        ("import", "import"),
        ("later", "later"),
        ("", ""),
    ],
)
def test_methods_have_titles(method: str, title: str) -> None:
    assert selectors.method_title(method) == title


def test_what_is_not_known_is_shown_as_it_is() -> None:
    assert selectors.architecture_title("gpt2") == "GPT-2"
    assert selectors.architecture_title("unheard-of") == "unheard-of"
    assert selectors.task_title("causal_language_modelling") == "language modelling"
    assert selectors.task_title("") == ""
