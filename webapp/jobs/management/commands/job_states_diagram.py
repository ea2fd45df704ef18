"""``manage.py job_states_diagram``: the states of a job, from the table in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from webapp.jobs import diagram


class Command(BaseCommand):
    help = "Print the diagram of a job's states, or write it into docs/jobs.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="Write it into docs/jobs.md.")

    def handle(self, *args: Any, write: bool, **options: Any) -> None:
        if not write:
            self.stdout.write(diagram.mermaid())
            return
        page = Path(settings.BASE_DIR) / "docs" / "jobs.md"
        page.write_text(diagram.replaced(page.read_text(encoding="utf-8")), encoding="utf-8")
