"""Which file system a folder is on."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"nfs4?|cifs|smb3|lustre|gpfs|beegfs|pvfs2|ceph|glusterfs|afs|9p|fuse\.(?!fuse-overlayfs).*|virtiofs"
)
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system, the place where it is mounted, and its options."""

    place: Path
    kind: str
    options: tuple[str, ...]

    @property
    def is_of_network(self) -> bool:
        """Whether other hosts may write there too."""
        return bool(_NETWORK.fullmatch(self.kind))

    @property
    def is_in_memory(self) -> bool:
        """Whether a restart of the host loses what is there."""
        return self.kind in _IN_MEMORY


def find_mount(folder: Path, table: str = "") -> Mount:
    """Return the file system of a folder, by a table of mounts (proc(5), `mountinfo`) or the one of this process."""
    folder = Path(os.path.realpath(folder))
    mounts = [_parse(line) for line in (table or _MOUNTS.read_text(errors="surrogateescape")).splitlines()]
    above = [mount for mount in mounts if mount.place == folder or mount.place in folder.parents]
    # Of two at one place the later hides the earlier.
    return max(reversed(above), key=lambda mount: len(mount.place.parts))


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    place, options = before.split()[4:6]
    kind, _, more = after.split(" ", 2)
    unescaped = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), place)
    return Mount(Path(unescaped), kind, (*options.split(","), *more.split(",")))
