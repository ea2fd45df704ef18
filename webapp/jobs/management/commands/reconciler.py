"""``manage.py reconciler``: keeps table, broker and folders in agreement."""

from __future__ import annotations

import fcntl
import logging
import signal
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from webapp.jobs import reconciler
from webapp.jobs.stop import stopping

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Tell the broker what it forgot and close what died, every two seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="One pass, then leave.")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if once:
            reconciler.reconcile()
            reconciler.clean()
            return
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        signal.signal(signal.SIGINT, lambda *_: stopping.set())
        Path(settings.DATA_DIR).mkdir(parents=True, exist_ok=True)
        with (Path(settings.DATA_DIR) / "reconciler.lock").open("w") as lock:
            # One per data folder is enough; a second one stands by.
            while not _taken(lock):
                if stopping.wait(2):
                    return
            self._loop()

    def _loop(self) -> None:
        clean_at = 0.0
        while not stopping.is_set():
            try:
                reconciler.reconcile()
                if time.monotonic() > clean_at:
                    clean_at = time.monotonic() + reconciler.CLEAN_PERIOD_S
                    reconciler.clean()
            except (DatabaseError, InterfaceError):
                logger.exception("the database does not answer")
                connection.close()
            except Exception:
                logger.exception("this pass was cut short")
            stopping.wait(reconciler.PERIOD_S)


def _taken(lock: Any) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
