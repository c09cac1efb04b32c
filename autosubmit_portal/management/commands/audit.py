"""`manage.py audit`: proving, exporting and sealing the audit trail."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from autosubmit_portal.api.query.queries import AuditQuery
from autosubmit_portal.api.views.audit import EXPORTS, export, filter_matching, record_export
from autosubmit_portal.audit import triggers
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import get_current_origin
from autosubmit_portal.audit.seal import BrokenArchive, Seal, Unsealable, list_seals, read_seal, seal_entries
from autosubmit_portal.audit.verify import Examination, find_missing_end, iterate_entries
from experiments.actions.refusals import InvalidParameters
from experiments.actions.validation import validate
from experiments.audit_visibility import find_actions_without_entries

FILTERS = {
    name: str(field.help_text) for name, field in AuditQuery().fields.items() if name not in ("cursor", "page_size")
}
SHOWN_FAULTS = 20
SHOWN_ACTIONS = 10


class Command(BaseCommand):
    """One command with three parts: verify, export, seal."""

    help = "Prove, export or seal the audit trail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the parts and their options."""
        parts = parser.add_subparsers(dest="part", required=True)
        verify = parts.add_parser("verify", help="prove that the trail is what the portal has written")
        verify.add_argument(
            "--head",
            action="append",
            default=[],
            type=_parse_head,
            metavar="ID:DIGEST",
            help="an entry that must be there, as an earlier verify or syslog has told it; repeatable",
        )
        verify.add_argument(
            "--archive", action="append", default=[], type=Path, help="a sealed archive (.jsonl.gz); repeatable"
        )
        export = parts.add_parser("export", help="write entries to standard output, oldest first")
        export.add_argument("--format", choices=list(EXPORTS), default="jsonl", help="default: jsonl")
        for name, text in FILTERS.items():
            export.add_argument(f"--{name.replace('_', '-')}", dest=name, help=text.replace("%", "%%"))
        seal = parts.add_parser("seal", help="write old entries to a signed archive; none is deleted")
        seal.add_argument(
            "--before", required=True, type=_parse_instant, metavar="DATE", help="seal entries before this day"
        )
        seal.add_argument(
            "--folder",
            type=Path,
            default=settings.PORTAL_HOME / "audit",
            help="where the archive goes (default: audit under PORTAL_HOME)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the part that was asked for."""
        {"verify": self._verify, "export": self._export, "seal": self._seal}[options["part"]](options)

    def _verify(self, options: dict[str, Any]) -> None:
        try:
            known = [*list_seals(), *(read_seal(archive) for archive in options["archive"])]
        except BrokenArchive as broken:
            raise CommandError(str(broken)) from broken
        seen = Examination(
            starts={""} | {seal.last_digest for seal in known},
            heads={seal.last_id: seal.last_digest for seal in known} | dict(options["head"]),
        )
        faults = seen.find_faults(iterate_entries())
        shown = [str(fault) for fault in islice(faults, SHOWN_FAULTS)]
        more = sum(1 for _ in faults)
        told = [*shown, *([f"… and {more:,} more."] if more else []), *_check_beside(seen)]
        for text in told:
            self.stdout.write(self.style.ERROR(text))
        self.stdout.write(_summarise(seen, known))
        if told:
            sys.exit(1)

    def _export(self, options: dict[str, Any]) -> None:
        given = {name: options[name] for name in FILTERS if options[name] is not None}
        try:
            query = validate(AuditQuery, given, "filter")
        except InvalidParameters as wrong:
            told = (f"--{name}: {' '.join(texts)}" for name, texts in wrong.errors.items())
            raise CommandError("; ".join(told)) from wrong
        record_export(get_current_origin(), options["format"], given)
        for line in export(filter_matching(AuditEntry.objects.all(), query).order_by("id"), options["format"]):
            self.stdout.write(line, ending="")

    def _seal(self, options: dict[str, Any]) -> None:
        try:
            sealed = seal_entries(options["before"], options["folder"], origin=get_current_origin())
        except (Unsealable, OSError) as error:
            raise CommandError(f"Nothing was sealed. {error}") from error
        if sealed is None:
            self.stdout.write("No entry before that time is unsealed; nothing was written.")
            return
        self.stdout.write(
            f"Entries {sealed.first_id} to {sealed.last_id} ({sealed.entries:,}) are sealed in "
            f"{options['folder'] / sealed.file}."
        )


def _check_beside(seen: Examination) -> Iterator[str]:
    """Yield what is wrong as others than the entries themselves know: numbers, actions and triggers."""
    cut = find_missing_end(seen.last_id)
    if cut:
        yield cut
    actions = find_actions_without_entries()
    named = [str(number) for number in actions.values_list("pk", flat=True)[:SHOWN_ACTIONS]]
    if named:
        count = actions.count()
        more = f" and {count - len(named):,} more" if count > len(named) else ""
        yield f"Entries of actions are missing: {', '.join(named)}{more}."
    for name in triggers.find_missing():
        yield f"The trigger {name} is missing, switched off or another one. {triggers.REMEDY}"


def _summarise(seen: Examination, known: list[Seal]) -> str:
    if not seen.entries:
        return "The trail is empty."
    sealed = max((seal.last_id for seal in known), default=0)
    begins = f" It begins after sealed entry {sealed}." if known and seen.first_id > sealed else ""
    return f"{seen.entries:,} entries examined.{begins} Head: {seen.last_id}:{seen.last_digest}"


def _parse_head(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise ArgumentTypeError(f"“{text}” is no head. Write it as verify prints it: ID:DIGEST.")
    return int(number), digest


def _parse_instant(text: str) -> datetime:
    """Return a day or time; without an offset in the time zone of the portal."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no date. Write it as 2026-01-31.") from None
    return found if found.tzinfo else timezone.make_aware(found)
