"""`make sbom`: what the images ship, as CycloneDX: packages of Python with versions and licences, those of Debian."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.containerfile import Stage, read_stages

CYCLONEDX = Path(sys.executable).parent / "cyclonedx-py"
OPTIONS = ("--output-reproducible", "--output-format", "JSON")
INSTALL = re.compile(r"apt-get install [^&]*")


def main() -> None:
    """Write one file for each image."""
    parser = argparse.ArgumentParser("python -m tests.tools.sbom", description="List what the images ship.")
    parser.add_argument("--portal", type=Path, required=True, help="the Python of an environment with the portal alone")
    parser.add_argument("--agent", type=Path, required=True, help="the Python of an environment with Autosubmit alone")
    parser.add_argument("--folder", type=Path, default=Path("dist"), help="where (%(default)s)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    for image, python in {"portal": arguments.portal, "agent": arguments.agent}.items():
        bom = add_debian(list_python(python), read_stages()[image])
        file = arguments.folder / f"sbom-{image}.cdx.json"
        file.write_text(json.dumps(bom, indent=1, ensure_ascii=False) + "\n")
        print(f"{file}: {len(bom['components'])} packages")


def list_python(python: Path) -> dict[str, Any]:
    """Return the document of what an environment has."""
    command = [str(CYCLONEDX), "environment", *OPTIONS, str(python)]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def add_debian(bom: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """Return the document with the packages of Debian that a stage names. Their versions are those of the day."""
    release = re.sub(r".*:(\w+)-.*", r"\1", stage.base)
    found = [{"type": "operating-system", "name": "debian", "version": release, "bom-ref": "debian"}]
    for name in list_debian(stage):
        purl = f"pkg:deb/debian/{name}?distro={release}"
        found.append({"type": "application", "name": name, "purl": purl, "bom-ref": purl})
    return bom | {"components": [*bom.get("components", ()), *found]}


def list_debian(stage: Stage) -> list[str]:
    """Return the names of the packages of Debian that a stage installs."""
    texts = [text for one in stage.find("RUN") for text in INSTALL.findall(one.text)]
    return sorted(word for text in texts for word in text.split()[2:] if not word.startswith("-"))


if __name__ == "__main__":
    main()
