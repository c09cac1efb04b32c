"""The list of what an image ships is read from its file system."""

from pathlib import Path
from typing import Any

import pytest

from tests.tools.sbom import list_licences, make_documents

STATUS = """Package: tini
Status: install ok installed
Architecture: amd64
Version: 0.19.0-1+b3

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file system with a package of Debian, one that was removed, and a package of Python."""
    _write(tmp_path / "var/lib/dpkg/status", STATUS)
    _write(tmp_path / "etc/debian_version", "12.11\n")
    metadata = "Metadata-Version: 2.4\nName: websockets\nVersion: 16.1\nLicense-Expression: BSD-3-Clause\n"
    _write(tmp_path / "opt/autosubmit-portal/lib/python3.11/site-packages/websockets-16.1.dist-info/METADATA", metadata)
    return tmp_path


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)


def _find(made: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in made["components"] if one["name"] == name)
    return dict(found)


def test_what_is_installed_is_listed_with_version_and_licence(root: Path) -> None:
    _write(root / "usr/share/doc/tini/copyright", "Files: *\nLicense: Expat\n text\n")
    made = make_documents(root, root)["portal"]
    assert [one["name"] for one in made["components"]] == ["websockets", "debian", "tini"]
    assert _find(made, "tini")["version"] == "0.19.0-1+b3"
    assert _find(made, "tini")["licenses"] == [{"license": {"name": "Expat"}}]
    assert _find(made, "tini")["purl"] == "pkg:deb/debian/tini@0.19.0-1%2Bb3?arch=amd64&distro=debian-12.11"
    assert _find(made, "websockets")["licenses"][0]["license"]["id"] == "BSD-3-Clause"


def test_what_the_archive_of_the_agent_has_is_listed_for_its_image(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "agent"
    _write(other / "var/lib/dpkg/status", STATUS)
    _write(other / "etc/debian_version", "12.11\n")
    (other / "opt/autosubmit/lib/python3.11/site-packages").mkdir(parents=True)
    assert [one["name"] for one in make_documents(root, other)["agent"]["components"]] == ["debian", "tini"]
    _write(other / "opt/autosubmit-agent/agent.pyz", "")
    assert _find(make_documents(root, other)["agent"], "websockets")["version"] == "16.1"


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        ("License: GPL-2+\n\nLicense: Expat\n\nLicense: GPL-2+\n", ["Expat", "GPL-2+"]),
        ("It is in /usr/share/common-licenses/GPL-3.\n", ["GPL-3"]),
        ("Do with it what you like.\n", ["see /usr/share/doc/tini/copyright"]),
    ],
)
def test_a_licence_is_read_as_debian_says_it(text: str, licences: list[str], root: Path) -> None:
    _write(root / "usr/share/doc/tini/copyright", text)
    assert list_licences(root, "tini") == licences
