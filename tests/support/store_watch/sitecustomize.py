"""Notes who touches what lies in a store: Python imports this in each process that has this folder on its path.

Whatever opens, lists or changes a file is told by the interpreter's own audit events; `stat` and its kin are not, so
that they are wrapped here.
"""

import os
import sys
from typing import Any

_store = os.environ.get("WATCHED_STORE", "")
_told = os.open(os.environ["STORE_TOUCHES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if _store else -1
_KIN = ("stat", "lstat", "access", "readlink", "statvfs", "getxattr", "listxattr")


def _note(what: str, value: object) -> None:
    if isinstance(value, os.PathLike | bytes | str):
        path = os.fsdecode(value).removeprefix("file:")
        if path.startswith(f"{_store}/"):
            os.write(_told, f"{' '.join(sys.argv[:3])}: {what} {path}\n".encode())


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(("open", "os.", "sqlite3.", "shutil.", "glob.", "ctypes.", "mmap.")):
        for argument in arguments:
            _note(event, argument)


def _wrap(name: str) -> None:
    real = getattr(os, name)

    def told(*arguments: Any, **named: Any) -> Any:
        _note(name, arguments[0] if arguments else named.get("path"))
        return real(*arguments, **named)

    for family in (os.supports_dir_fd, os.supports_effective_ids, os.supports_fd, os.supports_follow_symlinks):
        if real in family:
            family.add(told)
    setattr(os, name, told)


if _store:
    sys.addaudithook(_hear)
    for _name in _KIN:
        _wrap(_name)
