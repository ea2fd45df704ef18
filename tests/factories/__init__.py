"""Rows for tests: one function a model, with sensible values for all that a test does not name."""

from tests.factories.accounts import Cast, make_cast
from tests.factories.datasets import make_summary, make_upload, make_version
from tests.factories.jobs import make_job

__all__ = ["Cast", "make_cast", "make_job", "make_summary", "make_upload", "make_version"]
