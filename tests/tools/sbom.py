"""`make sbom`: what the images ship, as CycloneDX: the packages of Python and of Debian that are in their file systems.

Each with its version, and with its licence where it names one.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

from autosubmit_portal.gateway.agent_archive import PACKAGES

CYCLONEDX = Path(sys.executable).parent / "cyclonedx-py"
OPTIONS = ("--output-reproducible", "--output-format", "JSON")
PYTHON = ("opt/*/lib/python3*/site-packages", "usr/lib/python3/dist-packages")
AGENT = "opt/autosubmit-agent/agent.pyz"
# What the archive of the agent has, by the names of packages.
IN_AGENT = {"autosubmit-portal", *PACKAGES}
Document = dict[str, Any]


def main() -> None:
    """Write one file for each image."""
    parser = argparse.ArgumentParser("python -m tests.tools.sbom", description="List what the images ship.")
    parser.add_argument("--portal", type=Path, help="the file system of the image, as an engine exports it")
    parser.add_argument("--agent", type=Path, help="… and that of the other; without both they are made here (root)")
    parser.add_argument("--folder", type=Path, default=Path("dist"), help="where to (%(default)s)")
    arguments = parser.parse_args()
    if arguments.portal and arguments.agent:
        write(arguments.portal, arguments.agent, arguments.folder)
        return
    from tests.tools.image.roots import explain_absence, make_roots

    if missing := explain_absence():
        sys.exit(missing)
    with tempfile.TemporaryDirectory() as name:
        made = make_roots(Path(name))
        write(made["portal"].folder, made["agent"].folder, arguments.folder)


def write(portal: Path, agent: Path, folder: Path) -> None:
    """Write what two file systems have."""
    folder.mkdir(exist_ok=True)
    for image, made in make_documents(portal, agent).items():
        file = folder / f"sbom-{image}.cdx.json"
        file.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
        print(f"{file}: {len(made['components'])} packages")


def make_documents(portal: Path, agent: Path) -> dict[str, Document]:
    """Return the documents of the file systems of both images."""
    of_portal, of_agent = _list_python(portal), _list_python(agent)
    if (agent / AGENT).exists():
        there = of_agent.setdefault("components", [])
        there += [one for one in of_portal["components"] if one["name"] in IN_AGENT and one not in there]
    return {"portal": _add_debian(of_portal, portal), "agent": _add_debian(of_agent, agent)}


def _list_python(root: Path) -> Document:
    """Return the document of the packages of Python, which the list of folders of an interpreter leads to."""
    folders = [str(one) for pattern in PYTHON for one in sorted(root.glob(pattern))]
    with tempfile.TemporaryDirectory() as name:
        python = Path(name) / "python"
        python.write_text(f"#!/bin/sh\ncat << 'END'\n{json.dumps(folders)}\nEND\n")
        python.chmod(0o700)
        command = [str(CYCLONEDX), "environment", *OPTIONS, str(python)]
        return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _add_debian(bom: Document, root: Path) -> Document:
    """Return the document with the packages of Debian that are installed."""
    release = (root / "etc" / "debian_version").read_text().strip()
    system = {"type": "operating-system", "name": "debian", "version": release, "bom-ref": "debian"}
    return bom | {"components": [*bom.get("components", ()), system, *_list_debian(root, release)]}


def _list_debian(root: Path, release: str) -> Iterator[Document]:
    stanzas = (root / "var/lib/dpkg/status").read_text().strip().split("\n\n")
    for one in map(Parser().parsestr, stanzas):
        if one["Status"] != "install ok installed":
            continue
        name, version = one["Package"], one["Version"]
        purl = f"pkg:deb/debian/{name}@{_quote(version)}?arch={one['Architecture']}&distro=debian-{release}"
        licences = [{"license": {"name": licence}} for licence in list_licences(root, name)]
        yield {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, "licenses": licences}


def _quote(version: str) -> str:
    return version.replace("+", "%2B").replace(":", "%3A")


def list_licences(root: Path, name: str) -> list[str]:
    """Return the licences of a package of Debian: as its file names them, or those that it refers to, or the file."""
    inside = f"usr/share/doc/{name}/copyright"
    file = root / inside
    text = file.read_text(errors="replace") if file.exists() else ""
    found = re.findall(r"^License: *(\S.*?) *$", text, re.MULTILINE)
    found = found or re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])", text)
    return sorted(set(found)) or [f"see /{inside}"]


if __name__ == "__main__":
    main()
