"""`manage.py doctor`: what works, what does not, and what to do about it."""

import dataclasses
import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.health import examine, examine_hosts
from experiments.models import Site


class Command(BaseCommand):
    """Prints a line for each finding, with the remedy below; the exit status is 1 when something fails."""

    help = "Examine the portal, or the hosts of a site. Exit status 1 when a part fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --json and --site."""
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")
        parser.add_argument("--site", help="examine the hosts of this site instead: all that an action there needs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine, print, and fail if a part does."""
        findings = examine_hosts(_find_site(options["site"])) if options["site"] else examine()
        if options["json"]:
            self.stdout.write(json.dumps([_describe(finding) for finding in findings], ensure_ascii=False, indent=2))
        else:
            for finding in findings:
                self._print(finding)
        if any(finding.level is Level.FAIL for finding in findings):
            sys.exit(1)

    def _print(self, finding: Finding) -> None:
        style = (self.style.SUCCESS, self.style.WARNING, self.style.ERROR)[finding.level]
        word = style(f"{finding.level.word:4}")
        self.stdout.write(f"{word}  {finding.part:10}  {finding.text or finding.word}")
        if finding.remedy:
            self.stdout.write(f"{'':16}  → {finding.remedy}")


def _find_site(slug: str) -> Site:
    site: Site | None = Site.objects.filter(slug=slug).first()
    if site is None:
        raise CommandError(f"There is no site {slug}.")
    return site


def _describe(finding: Finding) -> dict[str, Any]:
    return dataclasses.asdict(finding) | {"level": finding.level.word}
