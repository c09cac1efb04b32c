"""The contract of a runner: how a command is started at a site and found again by anybody."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.autosubmit.secrets import cover_blocks


@dataclass(frozen=True, slots=True)
class Look:
    """The result of a look at a command. Neither alive nor with an exit status means no evidence of its end (yet)."""

    has_started: bool = False
    is_alive: bool = False
    exit_status: int | None = None


class Runner(ABC):
    """Runs commands, each in a run directory that holds `argv`, `pid`, `output` and, at its end, `exit_status`."""

    @abstractmethod
    def start(self, argv: Sequence[str], directory: Path, unix_name: str = "") -> None:
        """Start `argv` in a session of its own, so that it outlives whoever starts it.

        `unix_name` is the Unix account that it runs as; blank is that of the worker. Before: `directory` does not
        exist. After: it does, private to the account of the worker, whoever the command runs as.
        Raises FileExistsError when called twice, OSError when the command cannot be started.
        """

    @abstractmethod
    def look(self, directory: Path) -> Look:
        """Say whether the command lives or how it ended. May be called at any time, by anybody, any number of times."""

    @abstractmethod
    def give_up(self, directory: Path) -> bool:
        """Make sure that a command that has not started never will; return False if it has started.

        The worker that should start it may only be slow: then it, or its launcher, finds the directory taken.
        """

    @abstractmethod
    def end(self, directory: Path) -> None:
        """End a command and everything of its process group: SIGTERM first, SIGKILL when it lives on.

        Returns at once; call it until `look` sees the end. The jobs that a command started have sessions of their own
        and go on.
        """

    @abstractmethod
    def interrupt(self, directory: Path, pid: int, mark: str) -> bool:
        """Send SIGINT to another process, as the account of the command; return whether it was sent.

        It is sent once for each `mark`, whoever calls, and only to a process older than the command.
        """

    @abstractmethod
    def read_output(self, directory: Path, offset: int, limit: int) -> tuple[bytes, int]:
        """Return at most `limit` bytes of what the command printed, from byte `offset`, and how many there are in all.

        stdout and stderr are one stream, in the order in which they were written, as in a terminal.
        """

    @abstractmethod
    def bound_output(self, directory: Path) -> None:
        """Drop the oldest output of a command that printed too much."""

    def read_shown(self, directory: Path, offset: int, limit: int) -> tuple[bytes, int]:
        """Return the same as `output`, with secrets covered by as many `*`."""

        def read(start: int, end: int) -> list[bytes]:
            return [data] if (data := self.read_output(directory, start, end - start)[0]) else []

        size = self.read_output(directory, 0, 0)[1]
        return b"".join(cover_blocks(read, offset, offset + limit)), size

    def read_text(self, directory: Path, limit: int = 8_000_000) -> str:
        """Return the last `limit` bytes of the output as text."""
        size = self.read_output(directory, 0, 0)[1]
        return self.read_output(directory, max(0, size - limit), limit)[0].decode("utf-8", "replace")
