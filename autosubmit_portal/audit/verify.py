"""Check that the trail is as the portal wrote it: entry by entry, in little memory."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection

from autosubmit_portal.audit import chain
from autosubmit_portal.audit.models import AuditEntry

COLUMNS = (*chain.VERSIONS[chain.NEWEST], "previous", "digest")
ROWS_AT_ONCE = 2000
MOST_DOUBTED = 100
BELOW_ALL = -(2**63)  # also what was inserted before the first number is to be found
# SQLite keeps anything in any column.
UNREADABLE = (ValueError, TypeError, AttributeError, DatabaseError)

CHANGED = "was changed after it was written"
FOREIGN = "does not belong here: it was inserted or moved, or put in the place of another"
MISSING = "follows an entry that is missing"
BEHEADED = "is the first one, but follows others, and no seal says that they were moved out"
CUT = "is missing: the trail was cut or written anew from there on"

_LAST_NUMBER = {
    "sqlite": "SELECT MAX(seq) FROM sqlite_sequence WHERE name = 'audit_auditentry'",
    "postgresql": "SELECT last_value FROM pg_sequences WHERE schemaname = current_schema() "
    "AND format('%I.%I', schemaname, sequencename)::regclass "
    "= pg_get_serial_sequence('audit_auditentry', 'id')::regclass",
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an entry."""

    entry_id: int
    what: str

    def __str__(self) -> str:
        return f"Entry {self.entry_id} {self.what}."


@dataclass(slots=True)
class Examination:
    """One walk along the chain.

    `starts` are the digests that the first entry may follow: blank for the beginning of the trail, else those of
    removed entries. `heads` are kept digests by number: these entries must be there. `entries`, `first_id`, `last_id`
    and `last_digest` say what was seen so far.
    """

    starts: set[str] = field(default_factory=lambda: {""})
    heads: dict[int, str] = field(default_factory=dict)
    entries: int = 0
    first_id: int = 0
    last_id: int = 0
    last_digest: str = ""

    def find_faults(self, rows: Iterable[Row]) -> Iterator[Fault]:
        """Yield what is wrong with entries, given in the order of their numbers, then the heads that were not met."""
        links = self.starts  # what the next entry may follow
        doubted: deque[str] = deque(maxlen=MOST_DOUBTED)  # … or one of these, which are told themselves
        suspect: Row | None = None
        for row in rows:
            self._meet(row)
            if suspect:
                yield _judge(suspect, row, (*links, *doubted))
                doubted.append(suspect["digest"])
            suspect = None if chain.is_genuine(row) else row
            if suspect:
                continue
            if row["previous"] not in links and row["previous"] not in doubted:
                yield Fault(row["id"], BEHEADED if row["id"] == self.first_id else MISSING)
            links = {row["digest"]}
            doubted.clear()
        if suspect:
            yield _judge(suspect, None, (*links, *doubted))
        yield from (Fault(number, CUT) for number in sorted(self.heads) if number >= self.first_id)

    def _meet(self, row: Row) -> None:
        self.entries += 1
        self.first_id = self.first_id or row["id"]
        self.last_id, self.last_digest = row["id"], row["digest"]
        if self.heads.get(row["id"]) == row["digest"]:
            del self.heads[row["id"]]


def _judge(suspect: Row, following: Row | None, links: Collection[str]) -> Fault:
    """Return what is wrong with an entry whose digest is wrong; the next entry knows which digest should be here."""
    is_known = following is not None and suspect["digest"] and following["previous"] == suspect["digest"]
    is_skipped = following is not None and following["previous"] in links
    is_foreign = not suspect["digest"] or (is_skipped and not is_known)
    return Fault(suspect["id"], FOREIGN if is_foreign else CHANGED)


def find_missing_end(last_id: int) -> str:
    """Say which numbers the database gave after the last entry; blank if none, or if that proves nothing.

    SQLite takes a number back with its transaction; PostgreSQL does not, so there only an empty trail is reported.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LAST_NUMBER[connection.vendor])
        last = (cursor.fetchone() or (None,))[0] or 0
    if last <= last_id or (last_id and connection.vendor == "postgresql"):
        return ""
    which = f"Entries {last_id + 1} to {last} are" if last > last_id + 1 else f"Entry {last} is"
    return f"{which} missing: the database has numbered up to {last}. The trail was cut there."


def iterate_entries(*, after: int = BELOW_ALL) -> Iterator[Row]:
    """Yield the entries with numbers above `after` in their order, with all columns of the chain."""
    while batch := _read_after(after):
        yield from batch
        after = batch[-1]["id"]


def _read_after(last: int) -> list[Row]:
    rows = AuditEntry.objects.filter(id__gt=last).order_by("id")
    try:
        return list(rows.values(*COLUMNS)[:ROWS_AT_ONCE])
    except UNREADABLE:
        return [_read_entry(number) for number in rows.values_list("id", flat=True)[:ROWS_AT_ONCE]]


def _read_entry(number: int) -> Row:
    """Return an entry; in place of an unreadable one, an entry that is never genuine."""
    rows = AuditEntry.objects.filter(id=number)
    try:
        return dict(rows.values(*COLUMNS)[0])
    except UNREADABLE:
        return dict(rows.values("id", "previous", "digest")[0])
