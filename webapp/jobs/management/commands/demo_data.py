"""``manage.py demo_data`` (``make demo-data``): the samples, for a portal that has none."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.jobs import setup


class Command(BaseCommand):
    help = "Load the sample data sets and queue the sample transfer, for the first admin's team."

    def handle(self, *args: Any, **options: Any) -> None:
        setup.migrate()
        user = setup.first_people() or setup.administrator()
        if user is None:
            raise CommandError("There is no administrator whose team could have the samples.")
        run = setup.load_samples(user)
        self.stdout.write(f"Queued: {run} (it starts when the portal runs: make run).")
