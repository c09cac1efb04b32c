"""What the metrics need of a configuration: how many processors a simulation has, and how many years a chunk."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from experiments.autosubmit.plans import convert_to_4
from jobs.autosubmit.values import to_number, to_text

SIM = "SIM"
"""The section that simulates."""

YEARS_OF_UNITS = {"year": 1.0, "month": 1 / 12, "day": 1 / 365, "hour": 1 / 8760}
# The processors of a node where a sum of parts is rounded up to nodes, as Autosubmit API does.
_USUAL_NODE = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """How simulations are sent: their processing elements, their platform, and the years of a chunk.

    `carbon` is the carbon intensity of the platform (`CF`), `usage` its power usage effectiveness (`PUE`); both are 0
    where the configuration does not tell them.
    """

    elements: int = 1
    platform: str = ""
    years: float = 0.0
    carbon: float = 0.0
    usage: float = 0.0


def count_years(unit: str, size: int) -> float:
    """Return the simulated years of a chunk; 0 for an unknown unit."""
    return YEARS_OF_UNITS.get(unit.lower(), 0.0) * size


def extract_settings(configuration: Mapping[str, Any]) -> SimulationSettings:
    """Return the settings of a configuration as Autosubmit resolved it."""
    is_of_4 = "JOBS" in configuration
    converted = convert_to_4(configuration)
    job = _get_mapping(_get_mapping(converted.get("JOBS")).get(SIM))
    default = _get_mapping(converted.get("DEFAULT")).get("HPCARCH") if is_of_4 else None
    name = to_text(job.get("PLATFORM") or default)
    name = name.upper() if is_of_4 else name
    platform = _get_mapping(_get_mapping(converted.get("PLATFORMS")).get(name))
    of_3 = _get_mapping(configuration.get("exp")).get("experiment")
    experiment = _get_mapping(configuration.get("EXPERIMENT") or of_3)
    return SimulationSettings(
        elements=_count_elements(job, platform, is_of_4=is_of_4),
        platform=name,
        years=count_years(to_text(experiment.get("CHUNKSIZEUNIT")), to_number(experiment.get("CHUNKSIZE"))),
        carbon=_to_float(platform.get("CF")),
        usage=_to_float(platform.get("PUE")),
    )


def _count_elements(job: Mapping[str, Any], platform: Mapping[str, Any], *, is_of_4: bool) -> int:
    """Return the processing elements of a job. Autosubmit 3 knows neither NODES nor PROCESSORS_PER_NODE."""
    processors = parse_processors(to_text(job.get("PROCESSORS") or platform.get("PROCESSORS") or "1"))
    names = ("NODES", "TASKS", "PROCESSORS_PER_NODE") if is_of_4 else ()
    nodes, tasks, of_node = (_get_number(job, platform, name) for name in names) if names else (None, None, None)
    if of_node is None:
        return processors
    is_exclusive = is_of_4 and to_text(str(job.get("EXCLUSIVE") or platform.get("EXCLUSIVE"))).lower() == "true"
    return count_elements(processors, nodes, tasks, of_node, is_exclusive=is_exclusive)


def count_elements(processors: int, nodes: int | None, tasks: int | None, of_node: int, *, is_exclusive: bool) -> int:
    """Return the processing elements that are requested: those of whole nodes, where it is more than one."""
    if nodes is not None:
        return nodes * of_node
    share = tasks or (of_node if 0 < of_node < processors else processors)
    needed = ceil(processors / max(1, share))
    if not is_exclusive and needed <= 1 and processors <= of_node:
        return processors
    return max(1, needed) * of_node


def parse_processors(text: str) -> int:
    """Return a number of processors; the parts of a sum as "16:32" count in whole nodes. 0 for another text."""
    if ":" not in text:
        return to_number(text)
    try:
        return sum(ceil(float(part) / _USUAL_NODE) * _USUAL_NODE for part in text.split(":"))
    except (ValueError, OverflowError):
        return 1


def _get_number(job: Mapping[str, Any], platform: Mapping[str, Any], name: str) -> int | None:
    text = to_text(job.get(name) or platform.get(name))
    return to_number(text) if text.isascii() and text.isdecimal() else None


def _to_float(value: object) -> float:
    try:
        return float(to_text(value, 30))
    except ValueError:
        return 0.0


def _get_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
