"""Loading a pickle as data: what it may name is on one short list, and each entry stands for something inert.

A pickle is a program: it names any object of any module, calls it, and sets its attributes. Here a name is looked up
in `_ALLOWED` alone. Of the entries only `dict`, `set` and the types of `datetime` are the real thing: immutable types
of the interpreter whose calls make a value and do nothing else. The others are classes of ours that keep what they are
given. Each has a `__setstate__`, so that setting state on the class itself, which would change it for the whole
process, is a plain error, and none has a `__dict__` that a state could fill.

A job keeps values of its configuration as the YAML reader of its Autosubmit made them: numbers, texts, lists and
mappings that remember how they were written, in which place and with which comments. Only the values are kept here.

That keeps code out, not greed: bytes that ask for all memory or nest without end are why only a process with limits
may call this.
"""

import io
import pickle
from datetime import date, datetime, timedelta, timezone
from typing import Any, NoReturn

from autosubmit_portal.sentences import say
from jobs.autosubmit.refusal import Refused


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
        raise Refused(say("refused: the pickle sets the state of a codec"))


class _Member:
    """Stands for `getattr`, by which some Pythons, such as 3.11.2, write a member of an enumeration."""

    def __new__(cls, owner: object = None, name: object = "") -> Any:
        """Return something inert with the name as its state. Nothing is looked up; all other uses are refused."""
        if not (isinstance(owner, type) and issubclass(owner, Inert) and isinstance(name, str)):
            raise Refused(say("refused: the pickle names builtins.getattr"))
        member = Inert()
        member.state = name
        return member

    def __setstate__(self, state: object) -> None:
        raise Refused(say("refused: the pickle sets the state of a function"))


class TaggedScalar(Inert):
    """Stands for a text with a tag that the YAML reader does not know, such as `!ENV ${HOME}`."""

    __slots__ = ()

    @property
    def text(self) -> object:
        """The text, which is what Autosubmit takes it for; whatever else a pickle may have put in its place."""
        return self.state.get("value") if isinstance(self.state, dict) else None


class _Value:
    """Has the values of the YAML reader forget how they were written: their anchor, their width, their comments."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Drop the state."""


class _Text(_Value, str):
    __slots__ = ()

    def __new__(cls, text: object = "", *_arguments: object) -> "_Text":
        return super().__new__(cls, text if isinstance(text, str) else "")


class _Integer(_Value, int):
    __slots__ = ()

    def __new__(cls, number: object = 0, *_arguments: object) -> "_Integer":
        return super().__new__(cls, number if isinstance(number, int) else 0)


class Boolean(_Integer):
    """Stands for a boolean with an anchor: nothing can inherit from the real one."""

    __slots__ = ()


class _Float(_Value, float):
    __slots__ = ()

    def __new__(cls, number: object = 0.0, *_arguments: object) -> "_Float":
        return super().__new__(cls, number if isinstance(number, float) else 0.0)


class _List(_Value, list[Any]):
    __slots__ = ()


class _Tuple(_Value, tuple[Any, ...]):
    __slots__ = ()


class _Map(_Value, dict[Any, Any]):
    __slots__ = ()


_OF_YAML: dict[str, dict[type, str]] = {
    "scalarstring": {
        _Text: "ScalarString PreservedScalarString LiteralScalarString FoldedScalarString SingleQuotedScalarString "
        "DoubleQuotedScalarString PlainScalarString"
    },
    "scalarint": {_Integer: "ScalarInt BinaryInt OctalInt HexInt HexCapsInt DecimalInt"},
    "scalarfloat": {_Float: "ScalarFloat ExponentialFloat ExponentialCapsFloat"},
    "scalarbool": {Boolean: "ScalarBoolean"},
    "timestamp": {datetime: "TimeStamp"},
    "comments": {
        _Map: "CommentedMap CommentedOrderedMap",
        _List: "CommentedSeq",
        _Tuple: "CommentedKeySeq",
        TaggedScalar: "TaggedScalar",
        # Those that are made of others stand where nothing is read of them; Tag is of the versions before 0.18.
        Inert: "CommentedKeyMap CommentedSet Comment Format LineCol Tag",
    },
    "compat": {_Map: "ordereddict"},
    "anchor": {Inert: "Anchor"},
    "tag": {Inert: "Tag"},
    "mergevalue": {Inert: "MergeValue"},
    "tokens": {Inert: "CommentToken"},
    "error": {Inert: "StreamMark FileMark StringMark CommentMark"},
}
"""What stands for the types of ruamel.yaml, up to 0.19, in which a value of a configuration is kept, by module."""

_ALLOWED: dict[tuple[str, str], type] = {
    ("datetime", "datetime"): datetime,
    ("datetime", "date"): date,
    ("datetime", "timedelta"): timedelta,
    ("datetime", "timezone"): timezone,
    ("builtins", "dict"): dict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("builtins", "getattr"): _Member,
    ("_codecs", "encode"): _Latin1Bytes,
    ("collections", "OrderedDict"): _Map,
    ("pathlib", "PosixPath"): Inert,
    ("pathlib._local", "PosixPath"): Inert,  # Python 3.13
    ("autosubmit.job.job", "Job"): Inert,
    ("autosubmit.job.template", "Language"): Inert,
    ("networkx.classes.digraph", "DiGraph"): Inert,
    ("networkx.classes.reportviews", "NodeView"): Inert,
    **{
        (f"ruamel.yaml.{module}", name): stand_in
        for module, stand_ins in _OF_YAML.items()
        for stand_in, names in stand_ins.items()
        for name in names.split()
    },
}

_LONGEST_NAME = 100


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(_describe_unknown(f"{module}.{name}")) from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise Refused(say("refused: the pickle refers to an object outside itself"))


def _describe_unknown(name: str) -> str:
    shown = "".join(character if character.isprintable() else "?" for character in name[:_LONGEST_NAME])
    return say(
        "refused: the pickle names {shown}, a type that the portal does not know from Autosubmit. If "
        "a value of the configuration has it, write that as a plain text or number and generate the "
        "job list again; if not, find out who else may write the file",
        shown=shown,
    )


def load(data: bytes) -> Any:
    """Return the object that `data` holds, made of plain values and `Inert` objects.

    Raises Refused for bytes that hold anything else, or no complete pickle.
    """
    if not data:
        raise Refused(say("truncated: it is empty"))
    try:
        return _DataUnpickler(io.BytesIO(data), encoding="latin1").load()
    except Refused:
        raise
    except MemoryError as error:
        raise Refused(say("refused: it needs more memory than it may have")) from error
    except EOFError as error:
        raise Refused(say("truncated: it ends before its last value")) from error
    except Exception as error:  # hostile bytes provoke any error of the types that they may call
        raise Refused(f"broken: {type(error).__name__}: {error}"[:300]) from error
