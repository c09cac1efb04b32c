"""Opening files inside a folder, whatever lies there and whatever is done to it meanwhile."""

import os
import socket
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from jobs.autosubmit.logs import safe_open
from jobs.autosubmit.logs.safe_open import LeadsOutside, NotAFile, list_files_inside, open_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file `in/log`, beside a secret one."""
    made = tmp_path / "a000"
    (made / "in").mkdir(parents=True)
    (made / "in" / "log").write_bytes(b"open")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "log").write_bytes(b"secret")
    return made


def read(folder: Path, name: str) -> bytes:
    with open_inside(folder, name) as file:
        return file.read()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("name", ["in/log", "in//log", "./in/./log", "in/../in/log"])
def test_a_file_is_opened(folder: Path, name: str) -> None:
    assert read(folder, name) == b"open"


@pytest.mark.parametrize("name", ["../secret/log", "in/../../secret/log", ".."])
def test_a_name_that_leads_out_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(LeadsOutside, match="leads out of the folder of a000"):
        read(folder, name)


@pytest.mark.parametrize("target", ["../secret/log", "{top}/secret/log", "/etc/passwd", "{top}/a000/../secret/log"])
def test_a_link_that_leads_out_is_refused(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target.format(top=folder.parent))
    with pytest.raises(LeadsOutside):
        read(folder, "link")


def test_a_folder_that_leads_out_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("../secret")
    with pytest.raises(LeadsOutside):
        read(folder, "link/log")
    with pytest.raises(LeadsOutside):
        list_files_inside(folder, "link", bool)


@pytest.mark.parametrize("target", ["in/log", "./in/../in/log", "{top}/a000/in/log"])
def test_a_link_that_stays_inside_is_followed(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target.format(top=folder.parent))
    assert read(folder, "link") == b"open"


def test_a_folder_that_is_a_link_inside_is_followed(folder: Path) -> None:
    (folder / "other").symlink_to("in")
    (folder / "in" / "up").symlink_to("../in/log")
    assert read(folder, "other/up") == b"open"
    assert list_files_inside(folder, "other", bool).keys() == {"log", "up"}


def test_a_folder_behind_a_link_is_the_folder(folder: Path) -> None:
    (folder.parent / "b").mkdir()
    (folder.parent / "b" / "a000").symlink_to(folder)
    (folder / "link").symlink_to(folder / "in" / "log")
    assert read(folder.parent / "b" / "a000", "link") == b"open"


def test_a_circle_of_links_is_an_error(folder: Path) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        read(folder, "one")


def test_what_is_no_file_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    for name in ("pipe", "socket", "in", "."):
        with pytest.raises(NotAFile, match=r"Not a regular file"):
            read(folder, name)


@pytest.mark.parametrize("put", [os.mkfifo, lambda place: place.symlink_to("../../secret/log")])
def test_what_takes_the_place_of_a_file_that_was_looked_at_is_refused(
    folder: Path, put: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap(status: os.stat_result, name: str) -> None:
        monkeypatch.undo()
        (folder / "in" / "log").unlink()
        put(folder / "in" / "log")

    monkeypatch.setattr(safe_open, "_require_file", swap)
    with pytest.raises(OSError, match=r"Not a regular file|symbolic links"):
        read(folder, "in/log")


def test_an_absent_file_is_not_found(folder: Path) -> None:
    for name in ("no", "no/log", "in/no"):
        with pytest.raises(FileNotFoundError):
            read(folder, name)


def test_only_files_that_can_be_opened_are_listed(folder: Path) -> None:
    os.mkfifo(folder / "in" / "pipe")
    (folder / "in" / "out").symlink_to("/etc/passwd")
    (folder / "in" / "same").symlink_to("log")
    (folder / "in" / "dangling").symlink_to("nothing")
    found = list_files_inside(folder, "in", lambda name: name != "unwanted")
    assert {name: status.st_size for name, status in found.items()} == {"log": 4, "same": 4}


def test_of_too_many_files_some_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        (folder / "in" / f"wanted{number}").touch()
    monkeypatch.setattr(safe_open, "MOST_FILES", 3)
    assert len(list_files_inside(folder, "in", lambda name: name.startswith("wanted"))) == 3
    monkeypatch.setattr(safe_open, "MOST_NAMES", 5)
    assert len(list_files_inside(folder, "in", lambda name: name == "log")) <= 1


def test_nothing_stays_open(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    before = descriptors()
    for name in ("in/log", "link", "no", "in", "../x"):
        try:
            read(folder, name)
        except (OSError, LeadsOutside):
            continue
    list_files_inside(folder, "in", bool)
    assert descriptors() == before


def test_a_folder_swapped_for_a_link_at_any_moment_never_leads_out(folder: Path) -> None:
    """Somebody swaps `in` and a link to the secret as fast as possible, while the file is opened again and again."""
    (folder / "evil").symlink_to("../secret")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (folder / "in").rename(folder / "good")
            (folder / "evil").rename(folder / "in")
            (folder / "in").rename(folder / "evil")
            (folder / "good").rename(folder / "in")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: set[object] = set()
    try:
        for turn in count():
            if turn > 3000 and {b"open", LeadsOutside} <= seen:
                break
            try:
                seen.add(read(folder, "in/log"))
            except (OSError, LeadsOutside) as refusal:
                seen.add(type(refusal))
    finally:
        over.set()
        swapper.join()
    assert b"secret" not in seen
