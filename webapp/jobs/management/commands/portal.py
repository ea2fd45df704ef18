"""``manage.py portal`` (``make run``): the whole portal on this machine."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections
from django.urls import reverse

from webapp.jobs import setup
from webapp.jobs.broker import BrokerError
from webapp.jobs.launcher import FIRST_PORT, AlreadyRunning, Launcher, StartFailed


class Command(BaseCommand):
    help = "Start the portal with everything it needs, and stop it all on Ctrl-C."
    # The tables are made by the command itself, so they cannot be asked for before.
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            default=int(os.environ.get("GRAFT_PORT") or FIRST_PORT),
            help=f"First port to try on 127.0.0.1 (GRAFT_PORT, {FIRST_PORT}).",
        )
        parser.add_argument(
            "--no-samples", action="store_true", help="Do not load samples at the first start."
        )

    def handle(self, *args: Any, port: int, no_samples: bool, **options: Any) -> None:
        launcher = Launcher(self._say)
        try:
            launcher.take_folder()
        except AlreadyRunning as running:
            where = running.url or "still starting"
            raise CommandError(
                f"The portal already runs on this data folder: {where} "
                f"(process {running.pid}, data in {launcher.folder})."
            ) from None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, launcher.ask)
        self._say(f"Graft, with its data in {launcher.folder}")
        try:
            self._start(launcher, port, samples=not no_samples)
            launcher.run()
        except (StartFailed, BrokerError) as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        finally:
            if launcher.asked:
                self._say(
                    "Stopping: runs save their state and go on at the next start. Ctrl-C: now."
                )
            launcher.stop()
        self._say("Stopped. Nothing is lost.")

    def _start(self, launcher: Launcher, port: int, *, samples: bool) -> None:
        setup.prepare(self._say)
        listener = launcher.listen(port)
        launcher.plan(listener)
        launcher.start_broker()
        newcomer = setup.first_people()
        connections.close_all()
        launcher.start()
        page = ""
        if newcomer is not None and samples:
            page = self._samples(newcomer)
        launcher.wait_ready()
        if launcher.asked:
            return
        self._welcome(launcher, page)
        connections.close_all()

    def _samples(self, user: Any) -> str:
        self._say("Loading the sample data and queueing the sample transfer.")
        try:
            run = setup.load_samples(user)
        except Exception as error:  # noqa: BLE001 - a portal without samples is still a portal
            self._say(f"The samples could not be loaded ({type(error).__name__}: {error}).")
            return ""
        return reverse("runs:detail", args=[run.pk])

    def _welcome(self, launcher: Launcher, page: str) -> None:
        self._say(f"Ready at {launcher.url}")
        user = setup.administrator()
        if user is not None:
            link = setup.sign_in_link(user, launcher.url, page)
            self._say(f"Sign in with this link, which works once:\n\n    {link}\n")
        self._say(f"Logs are in {launcher.logs}. Ctrl-C stops everything.")

    def _say(self, line: str) -> None:
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except OSError:  # the terminal is gone; what there is to stop is stopped all the same
            pass
