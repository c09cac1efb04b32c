"""The chart, rendered by Helm itself."""

import re
import textwrap
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "kubernetes.md"
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "chart"
VALUES: dict[str, Any] = {
    "image": {"portal": "registry.example.org/portal:0.1.0", "agent": "registry.example.org/agent:0.1.0"},
    "hostname": "portal.example.org",
    "path": "/portal/x/",
    "existingSecret": "portal",
    "config": {"version": 1},
    "gateway": {"hosts": {"autosubmit": [64 * "a"]}},
    "agent": {"enabled": True, "tokenSecret": "agent"},
}
Objects = dict[tuple[str, str], dict[str, Any]]


def render(folder: Path = FOLDER, **values: Any) -> Objects:
    """Return the objects of a release called `demo`, by kind and name."""
    with Chart.load(folder) as chart:
        files = chart.render(VALUES | values, name="demo", namespace="trial")
    made = [one for text in files.values() for one in yaml.safe_load_all(text) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in made}


def list_containers(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return all containers by their names."""
    pods = [made["spec"]["template"]["spec"] for (kind, _), made in objects.items() if kind == "StatefulSet"]
    return {one["name"]: one for pod in pods for one in [*pod["initContainers"], *pod["containers"]]}


def read_guide() -> dict[str, Any]:
    """Return the values that the guide begins with, with the digest that its reader puts in."""
    return _read_blocks()[0]


def read_other_values() -> dict[str, Any]:
    """Return the other values that the guide shows."""
    return _read_blocks()[1]


def _read_blocks() -> list[dict[str, Any]]:
    text = GUIDE.read_text().replace("<the digest>", 64 * "a")
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(textwrap.dedent(block)) for block in blocks]
