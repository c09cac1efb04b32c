"""Entries arrive at a real socket as syslog, whatever happens there."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.audit import syslog, trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from tests.support.waiting import wait_for

# RFC 5424, section 6: priority and version, time, host, application, process, message, structured data.
RFC5424 = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S{1,255}) (\S{1,48}) (\d+) (\S{1,32}) "
    rb'\[(\S+) id="(\d+)" previous="(\w*)" digest="(\w{66})"\] (.*)',
    re.DOTALL,
)


@pytest.fixture(params=["udp", "tcp", "unix"])
def collector(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Iterator[Callable[[], bytes]]:
    """Listen where the trail is forwarded to; return what arrives first."""
    is_unix, is_tcp = request.param == "unix", request.param == "tcp"
    family = socket.AF_UNIX if is_unix else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        listening.bind(str(tmp_path / "log") if is_unix else ("127.0.0.1", 0))
        where = tmp_path / "log" if is_unix else f"127.0.0.1:{listening.getsockname()[1]}"
        settings.AUDIT_SYSLOG = f"{request.param}://{where}"
        if is_tcp:
            listening.listen()
        yield (lambda: framed(listening)) if is_tcp else (lambda: listening.recv(65536))


def framed(listening: socket.socket) -> bytes:
    """Return the first message of a connection: its length, a blank, and so many bytes (RFC 6587)."""
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as stream:
        length = b"".join(iter(lambda: stream.read(1), b" "))
        return stream.read(int(length))


@pytest.fixture
def record(django_capture_on_commit_callbacks: Any, db: None) -> Callable[..., AuditEntry]:
    """Record something in a transaction that commits."""

    def recorded(event: str = "action.refused", **values: Any) -> AuditEntry:
        with django_capture_on_commit_callbacks(execute=True):
            return trail.record(event, origin=Origin(door=Door.API, actor_name="ana\nben"), **values)

    return recorded


def test_a_committed_entry_arrives(collector: Callable[[], bytes], record: Callable[..., AuditEntry]) -> None:
    entry = record(message="because\r\n<13>1 forged")
    found = RFC5424.fullmatch(collector())
    assert found
    priority, *_, event, _, number, previous, digest, said = found.groups()
    assert (priority, event) == (b"108", b"action.refused")
    assert (int(number), previous.decode(), digest.decode()) == (entry.pk, entry.previous, entry.digest)
    assert b"\n" not in said
    assert json.loads(said)["message"] == entry.message


def test_a_long_entry_arrives_without_its_details(db: None) -> None:
    entry = trail.record("test.happened", origin=Origin(door=Door.API), details={"jobs": ["a000"] * 5000})
    found = RFC5424.fullmatch(syslog.write_message(entry))
    assert found
    said = json.loads(found[11])
    assert (said["details"], said["is_cut"], found[10].decode()) == ({}, True, entry.digest)


def test_nobody_waits_for_a_collector_that_is_away(
    record: Callable[..., AuditEntry], settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUDIT_SYSLOG = f"unix://{tmp_path}/nobody"
    record()
    wait_for(lambda: f"cannot be forwarded to unix://{tmp_path}/nobody" in caplog.text)


def test_what_there_is_no_room_for_is_told_in_the_log(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(syslog, "MOST_WAITING", 1)
    sender = syslog.Sender("udp://127.0.0.1:9")  # it is not started: nothing leaves
    entries = [trail.record("test.happened", origin=Origin(door=Door.API)) for _ in range(2)]
    for entry in entries:
        sender.put(entry)
    assert f"audit export --after {entries[0].pk}" in caplog.text


def test_an_entry_that_is_rolled_back_is_not_sent(
    record: Callable[..., AuditEntry], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_SYSLOG = "udp://127.0.0.1:9"
    monkeypatch.setattr(syslog, "get_sender", lambda url: pytest.fail("it was sent"))
    trail.record("test.happened", origin=Origin(door=Door.API))
