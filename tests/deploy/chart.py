"""The chart, rendered by Helm itself."""

from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

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


def render(**values: Any) -> Objects:
    """Return the objects of a release called `demo`, by kind and name."""
    with Chart.load(FOLDER) as chart:
        files = chart.render(VALUES | values, name="demo", namespace="trial")
    made = [one for text in files.values() for one in yaml.safe_load_all(text) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in made}


def list_containers(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return all containers by their names."""
    pods = [
        one["spec"]["template"]["spec"] for (kind, _), one in objects.items() if kind in ("StatefulSet", "Deployment")
    ]
    return {one["name"]: one for pod in pods for one in [*pod["initContainers"], *pod["containers"]]}
