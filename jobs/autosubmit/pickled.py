"""Loading a pickle as data: what it may name is on one short list, and each entry stands for something inert.

A pickle is a program: it names any object of any module, calls it, and sets its attributes. Here a name is looked up
in `_ALLOWED` alone. Of the entries only `datetime` and `dict` are the real thing, and both are immutable types of the
interpreter whose calls make a value and do nothing else. The others are classes of ours that keep what they are given.
Each has a `__setstate__`, so that setting state on the class itself, which would change it for the whole process,
is a plain error.

That keeps code out, not greed: bytes that ask for all memory or nest without end are why `jobs.autosubmit.decoder`
calls this in a process of its own.
"""

import io
import pickle
from datetime import datetime
from typing import Any, NoReturn


class Refused(Exception):
    """The bytes are not a pickle that is read here; the text says why."""


class Inert:
    """Stands for an object of Autosubmit or its libraries: keeps its state and does nothing."""

    __slots__ = ("state",)
    state: object

    def __new__(cls, *_arguments: object) -> "Inert":
        """Take whatever the real class would, and begin without state; a pickle sets it afterwards."""
        inert = super().__new__(cls)
        inert.state = None
        return inert

    def __setstate__(self, state: object) -> None:
        """Keep the state as it is."""
        self.state = state


class _Latin1Bytes:
    """Stands for `_codecs.encode`, by which Python 3 writes bytes for Python 2."""

    def __new__(cls, text: object = "", _encoding: object = "latin1") -> Any:
        return text.encode("latin-1", "replace") if isinstance(text, str) else b""

    def __setstate__(self, state: object) -> None:
        raise Refused("refused: the pickle sets the state of a codec")


class _Member:
    """Stands for `getattr`, by which some Pythons, such as 3.11.2, write a member of an enumeration."""

    def __new__(cls, owner: object = None, name: object = "") -> Any:
        """Return something inert with the name as its state. Nothing is looked up; all other uses are refused."""
        if not (isinstance(owner, type) and issubclass(owner, Inert) and isinstance(name, str)):
            raise Refused("refused: the pickle names builtins.getattr")
        member = Inert()
        member.state = name
        return member

    def __setstate__(self, state: object) -> None:
        raise Refused("refused: the pickle sets the state of a function")


class _Text(str):
    """Stands for the kinds of text that the YAML reader makes: scripts in a block and quoted values."""

    __slots__ = ()

    def __new__(cls, text: object = "", *_arguments: object) -> "_Text":
        return super().__new__(cls, text if isinstance(text, str) else "")

    def __setstate__(self, state: object) -> None:
        """Drop the anchor and the comments that the YAML reader keeps."""


_ALLOWED: dict[tuple[str, str], type] = {
    ("datetime", "datetime"): datetime,
    ("builtins", "dict"): dict,
    ("builtins", "getattr"): _Member,
    ("_codecs", "encode"): _Latin1Bytes,
    ("pathlib", "PosixPath"): Inert,
    ("pathlib._local", "PosixPath"): Inert,  # Python 3.13
    ("autosubmit.job.job", "Job"): Inert,
    ("autosubmit.job.template", "Language"): Inert,
    ("networkx.classes.digraph", "DiGraph"): Inert,
    ("networkx.classes.reportviews", "NodeView"): Inert,
    ("ruamel.yaml.anchor", "Anchor"): Inert,
    ("ruamel.yaml.scalarstring", "LiteralScalarString"): _Text,
    ("ruamel.yaml.scalarstring", "FoldedScalarString"): _Text,
    ("ruamel.yaml.scalarstring", "SingleQuotedScalarString"): _Text,
    ("ruamel.yaml.scalarstring", "DoubleQuotedScalarString"): _Text,
    ("ruamel.yaml.scalarstring", "PlainScalarString"): _Text,
}


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"refused: the pickle names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise Refused("refused: the pickle refers to an object outside itself")


def load(data: bytes) -> Any:
    """Return the object that `data` holds, made of plain values and `Inert` objects.

    Raises Refused for bytes that hold anything else, or no complete pickle.
    """
    if not data:
        raise Refused("truncated: it is empty")
    try:
        return _DataUnpickler(io.BytesIO(data), encoding="latin1").load()
    except Refused:
        raise
    except MemoryError as error:
        raise Refused("refused: it needs more memory than it may have") from error
    except EOFError as error:
        raise Refused("truncated: it ends before its last value") from error
    except Exception as error:  # hostile bytes provoke any error of the types that they may call
        raise Refused(f"broken: {type(error).__name__}: {error}"[:300]) from error
