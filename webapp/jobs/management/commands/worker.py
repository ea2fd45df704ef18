"""``manage.py worker --queues cpu``: one worker process."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.jobs import worker


class Command(BaseCommand):
    help = "Take jobs from queues and run them until SIGTERM (a second one kills)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues",
            required=True,
            help=f"Names separated by commas, of {', '.join(settings.QUEUES)}.",
        )
        parser.add_argument(
            "--device", default="", help="gpu:0 for the first graphics card; empty: the processor."
        )

    def handle(self, *args: Any, queues: str, device: str, **options: Any) -> None:
        names = [name for name in queues.split(",") if name]
        if unknown := set(names) - set(settings.QUEUES):
            raise CommandError(f"There is no queue {', '.join(sorted(unknown))}.")
        if "interactive" in names and len(names) > 1:
            raise CommandError("The interactive queue needs a worker of its own.")
        gpu = None
        if device:
            kind, _, index = device.partition(":")
            if kind != "gpu" or not index.isdigit():
                raise CommandError("--device is written gpu:0.")
            gpu = int(index)
        if "gpu" in names and gpu is None:
            raise CommandError("The gpu queue needs --device gpu:N.")
        worker.serve(names, gpu=gpu)
