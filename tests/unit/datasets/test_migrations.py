"""A database whose files have other names is refused before anything in it changes."""

from importlib import import_module

import pytest
from django.apps import apps
from django.core.management.base import CommandError

from tests.factories import Cast, make_version
from tests.factories.checkpoints import make_checkpoint

refuse = import_module("webapp.datasets.migrations.0002_blake3").refuse_old_files


@pytest.mark.django_db
def test_an_empty_database_goes_on() -> None:
    refuse(apps, None)


@pytest.mark.parametrize("make", [make_version, make_checkpoint])
def test_one_with_stored_files_is_told_what_to_do(cast: Cast, make) -> None:
    make(cast)
    with pytest.raises(CommandError, match=r"Nothing was changed.*start afresh"):
        refuse(apps, None)
