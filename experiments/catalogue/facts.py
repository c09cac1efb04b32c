"""What the behaviours of a kind are called with: the facts of an experiment, then the validated parameters."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from autosubmit_portal.sentences import marked, say

Parameters = Mapping[str, Any]
NO_PARAMETERS: Parameters = MappingProxyType({})


class JobFacts(Protocol):
    """The number of jobs of an experiment per status, and why that is not known now."""

    expid: str
    status_counts: Any
    problem: str


class ExperimentFacts(JobFacts, Protocol):
    """All that may be looked at."""

    gone_at: Any
    is_absent: bool
    is_running: bool
    is_starting: bool
    evidence: str
    ignores_interrupt: bool
    has_job_list: bool

    def list_active_jobs(self) -> list[tuple[str, str]]:
        """Name and platform of the jobs that are on a platform according to the job list."""
        ...

    def get_statuses(self, names: Sequence[str]) -> dict[str, str]:
        """Status of each of the named jobs that exist."""
        ...


Statement = Callable[[ExperimentFacts, Parameters], str]
"""Says something of an experiment; blank if there is nothing to say."""

Impact = Callable[[JobFacts, Parameters], str]
"""Says what would be lost; blank if nothing."""


def say_nothing(_experiment: ExperimentFacts, _parameters: Parameters) -> str:
    """Return a blank text."""
    return ""


def join_names(names: Sequence[str], most: int = 5, form: str = marked("{names} and {number} more")) -> str:
    """Return the names, of many only the first `most`: "a, b and 2 more", or what else `form` says."""
    told, left = ", ".join(names[:most]), len(names) - most
    return say(form, names=told, number=f"{left:,}") if left > 0 else told
