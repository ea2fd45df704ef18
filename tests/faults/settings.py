"""The portal's settings with test jobs in them, for processes that a test starts."""

from webapp.jobs.kinds import KINDS, Kind
from webapp.settings import *  # noqa: F403

KINDS["exercise"] = Kind("run", "train", "tests.factories.exercise")
KINDS["exercise_io"] = Kind("run", "io", "tests.factories.exercise")
KINDS["exercise_words"] = Kind("generate", "interactive", "tests.factories.exercise", deadline_s=60)
