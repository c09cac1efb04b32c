import os
import pathlib
import pickle
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.autosubmit.pickles.unpickler import Inert, load
from jobs.autosubmit.refusal import Refused

PICKLE_2 = b"\x80\x02"
INERT = b"cautosubmit.job.job\nJob\n"
CODEC = b"c_codecs\nencode\n"


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.reduced


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A file that is there once hostile code has run."""
    return tmp_path / "trace"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_shell_command_is_refused_and_does_not_run(trace: Path, protocol: int) -> None:
    with pytest.raises(Refused, match=r"refused: the pickle names \w+\.system"):
        load(pickle.dumps({"a000_SIM": Call(os.system, f"touch {trace}")}, protocol))
    assert not trace.exists()


def test_code_to_evaluate_is_refused_and_does_not_run(trace: Path) -> None:
    with pytest.raises(Refused, match=r"builtins\.eval"):
        load(pickle.dumps(Call(eval, f"open({str(trace)!r}, 'w')")))
    assert not trace.exists()


def test_a_chain_of_attributes_is_refused(trace: Path) -> None:
    with pytest.raises(Refused, match=r"builtins\.getattr"):
        load(pickle.dumps(Call(getattr, Call(getattr, pathlib.Path(trace), "touch"), "__call__")))
    assert not trace.exists()


def test_a_member_of_an_enumeration_is_read_as_python_3_11_2_writes_it() -> None:
    member = load(b"cbuiltins\ngetattr\n(cautosubmit.job.template\nLanguage\nVPYTHON\ntR.")
    assert (type(member), member.state) == (Inert, "PYTHON")


@pytest.mark.parametrize("owner", [b"}", b"cbuiltins\ndict\n", b"cdatetime\ndatetime\n", INERT + b"(tR"])
def test_an_attribute_of_anything_else_is_refused(owner: bytes) -> None:
    with pytest.raises(Refused, match=r"builtins\.getattr"):
        load(b"cbuiltins\ngetattr\n(" + owner + b"Vtouch\ntR.")


@pytest.mark.parametrize(
    "name",
    [
        "datetime\ndatetime.__class__",
        "builtins\ndict.__init__",
        "datetime\nsys",
        "builtins\n__import__",
        "jobs.autosubmit.pickles.unpickler\nInert",
        "autosubmit.job.job\nos",
    ],
)
def test_a_way_around_an_allowed_name_is_refused(name: str) -> None:
    module, _, path = name.partition("\n")
    dotted = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, path))
    with pytest.raises(Refused, match="refused: the pickle names"):
        load(dotted + b"\x93.")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PICKLE_2 + INERT + b"}U\x05stateU\x01xsb.", id="state on a class"),
        pytest.param(PICKLE_2 + INERT + b"N}U\x05stateU\x01xs\x86b.", id="slots on a class"),
        pytest.param(PICKLE_2 + CODEC + b"N}U\x0c__defaults__Ns\x86b.", id="defaults of a function"),
        pytest.param(PICKLE_2 + b"cdatetime\ndatetime\n}U\x03maxNsb.", id="state on datetime"),
        pytest.param(PICKLE_2 + b"cbuiltins\ndict\nN}U\x03getNs\x86b.", id="slots on dict"),
        pytest.param(PICKLE_2 + b"cdatetime\ndatetime\n(U\x01xtR.", id="hostile arguments"),
        pytest.param(PICKLE_2 + b"U\x01xQ.", id="object from outside"),
        pytest.param(PICKLE_2 + b"\x82\x01.", id="extension registry"),
        pytest.param(b"\x80\x05\x97.", id="buffer from outside"),
        pytest.param(PICKLE_2 + b"K\x01K\x02R.", id="call of a number"),
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", id="more bytes than memory"),
        pytest.param(b"\xff" * 100, id="noise"),
    ],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        load(data)


def test_after_hostile_bytes_the_stand_ins_are_as_before() -> None:
    with pytest.raises(Refused):
        load(PICKLE_2 + INERT + b"N}U\x0b__setstate__Ns\x86b.")
    job = load(PICKLE_2 + INERT + b")\x81}U\x03_idK\x07sb.")
    assert isinstance(job, Inert)
    assert job.state == {"_id": 7}


def test_an_empty_file_is_truncated() -> None:
    with pytest.raises(Refused, match="truncated"):
        load(b"")


def test_every_beginning_of_a_pickle_is_refused() -> None:
    whole = pickle.dumps({"a000_SIM": {"_status": 5, "date": datetime(2000, 1, 1), "_script": "x" * 20}})  # noqa: DTZ001
    for length in range(len(whole)):
        with pytest.raises(Refused):
            load(whole[:length])


def test_plain_values_are_loaded() -> None:
    data = {"a": [1, 2.5, None, True, ("x", b"y")], "date": datetime(2000, 1, 1)}  # noqa: DTZ001
    assert load(pickle.dumps(data, 5)) == data == load(pickle.dumps(data, 2))
