"""Seal old entries: write them to a signed archive, and record that in the trail.

Nothing is deleted. A database administrator may remove sealed entries; verify.py then begins at the seal.
"""

import gzip
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db.models import Min

from autosubmit_portal.audit import chain, trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.audit.verify import BELOW_ALL, COLUMNS, Examination, Row, iterate_entries

EVENT = "audit.sealed"


class Unsealable(Exception):
    """Some entries are not as the portal wrote them; the text says which."""


class BrokenArchive(Exception):
    """The archive is not as it was sealed; the text says why."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What an archive holds: the range of entries, the digests at both ends, and the digest of the file."""

    first_id: int
    last_id: int
    entries: int
    previous: str
    last_digest: str
    file: str
    sha256: str

    def sign(self) -> str:
        """Return the signature, which needs the key."""
        return chain.sign(json.dumps(asdict(self), sort_keys=True).encode())


def list_seals() -> list[Seal]:
    """Return the seals that genuine trail entries record, oldest first."""
    rows = AuditEntry.objects.filter(event=EVENT).order_by("id").values(*COLUMNS)
    names = [field.name for field in fields(Seal)]
    return [Seal(**{name: row["details"][name] for name in names}) for row in rows if chain.is_genuine(row)]


def seal_entries(before: datetime, folder: Path, *, origin: Origin) -> Seal | None:
    """Seal the unsealed entries before a time into `folder`, and record it. Returns None if there are none.

    Makes `audit-<first>-<last>.jsonl.gz` and the signed `.json` beside it. Raises Unsealable when an entry is broken,
    and OSError.
    """
    last = max(list_seals(), key=lambda seal: seal.last_id, default=None)
    end = AuditEntry.objects.filter(at__gte=before).aggregate(first=Min("id"))["first"]
    rows = (row for row in iterate_entries(after=last.last_id if last else BELOW_ALL) if end is None or row["id"] < end)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sealed = _write(rows, last.last_digest if last else "", folder)
    if sealed:
        trail.record(EVENT, origin=origin, subject=sealed.file, details=asdict(sealed))
    return sealed


def _write(rows: Iterator[Row], previous: str, folder: Path) -> Seal | None:
    unfinished = folder / "audit.unfinished"
    seen = Examination(starts={previous})
    with open(unfinished, "wb", opener=_open_private) as file:
        for fault in seen.find_faults(_archive(rows, file)):
            raise Unsealable(f"{fault} Run `{settings.COMMAND_LINE} audit verify`.")
    if not seen.entries:
        unfinished.unlink()
        return None
    name = f"audit-{seen.first_id:09}-{seen.last_id:09}.jsonl.gz"
    seal = Seal(
        seen.first_id, seen.last_id, seen.entries, previous, seen.last_digest, name, _compute_sha256(unfinished)
    )
    unfinished.rename(folder / name)
    manifest = json.dumps(asdict(seal) | {"signature": seal.sign()}, indent=2)
    get_manifest(folder / name).write_text(f"{manifest}\n")
    return seal


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _archive(rows: Iterable[Row], file: IO[bytes]) -> Iterator[Row]:
    """Write the rows to `file` and yield each when it is written. The file is whole after the last one."""
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as archive:
        for row in rows:
            archive.write(f"{chain.write_json(row)}\n".encode())
            yield row


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def get_manifest(archive: Path) -> Path:
    """Return the path of an archive's signed description."""
    return archive.with_name(archive.name.removesuffix(".jsonl.gz") + ".json")


def read_seal(archive: Path) -> Seal:
    """Return the seal of an archive; raise BrokenArchive when it, or the file, is not what was sealed."""
    try:
        said: dict[str, Any] = json.loads(get_manifest(archive).read_text())
        signature = str(said.pop("signature"))
        seal = Seal(**said)
        sha256 = _compute_sha256(archive)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenArchive(f"{archive} has no seal that can be read: {error}.") from error
    if not hmac.compare_digest(seal.sign(), signature):
        raise BrokenArchive(f"The seal of {archive} was not signed with the key of this trail.")
    if seal.sha256 != sha256:
        raise BrokenArchive(f"{archive} was changed after it was sealed.")
    return seal
