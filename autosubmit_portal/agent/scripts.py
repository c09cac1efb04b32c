"""Scripts of ours. Those that Autosubmit documents and has no command for are named by the first word of a command."""

import pkgutil
from collections.abc import Sequence

_NAMES = ("update_list",)


def read_script(name: str) -> str:
    """Return a script, also out of a zip archive, without its comments, to be the argument of `sh -c`."""
    lines = (pkgutil.get_data(__package__, f"{name}.sh") or b"").decode().splitlines()
    return "\n".join(line for line in lines if line and not line.startswith("#"))


SCRIPTS = {name: read_script(name) for name in _NAMES}


def make_argv(program: str, words: Sequence[str]) -> list[str]:
    """Return the argv of words that are a command of Autosubmit, whose program this is, or of a script."""
    script = SCRIPTS.get(words[0]) if words else None
    return ["/bin/sh", "-c", script, *words] if script else [program, *words]
