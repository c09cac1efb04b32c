"""The configuration of an experiment, as its files and as its runs have it, read by the agent without its secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError, fields
from autosubmit_portal.sentences import say
from experiments import reads
from experiments.autosubmit.shown_configuration import (
    ConfigurationChange,
    MissingConfiguration,
    ShownConfiguration,
    UnreadableConfiguration,
    compare_shown,
)
from experiments.autosubmit.store import BrokenStore
from experiments.models import Experiment
from jobs.autosubmit.secrets import mask_text, mask_value
from jobs.autosubmit.values import LARGEST_NUMBER

__all__ = [
    "ConfigurationChange",
    "MissingConfiguration",
    "ShownConfiguration",
    "UnreadableConfiguration",
    "compare_shown",
    "read_configuration_changes",
    "read_configuration_of_run",
    "read_file_configuration",
]

_LONGEST_DESCRIPTION = 10_000
_LONGEST_POINTER = 100_000


def read_file_configuration(experiment: Experiment) -> ShownConfiguration:
    """Return the configuration that the files of an experiment say now.

    Raises MissingConfiguration, UnreadableConfiguration, and HostAway.
    """
    return _read(experiment, "configuration", _describe(experiment))


def read_configuration_of_run(experiment: Experiment, run_id: int) -> ShownConfiguration:
    """Return the configuration that a run was created with; an empty one if Autosubmit kept none.

    Raises MissingConfiguration, UnreadableConfiguration, and HostAway.
    """
    return _read(experiment, "run configuration", {"run_id": _check_run(experiment, run_id)})


def read_configuration_changes(experiment: Experiment, run_id: int) -> list[ConfigurationChange]:
    """Return what must change in the configuration of a run to make it that of the files. Raises as the others.

    Secrets are compared too, by the agent: one that is another now is changed, and shown as little as before.
    """
    with _explain_errors():
        arguments = {**_describe(experiment), "run_id": _check_run(experiment, run_id)}
        document = reads.read_document(experiment, "configuration changes", arguments)
        with reads.understand(experiment.site):
            return [_take_change(row) for row in fields.take_objects(document, "changes")]


def _check_run(experiment: Experiment, run_id: int) -> int:
    if run_id > LARGEST_NUMBER:
        raise MissingConfiguration(say("{expid} has no run {run_id}.", expid=experiment.expid, run_id=run_id))
    return run_id


def _describe(experiment: Experiment) -> dict[str, Any]:
    return {"description": experiment.description[:_LONGEST_DESCRIPTION]}


def _read(experiment: Experiment, what: str, arguments: dict[str, Any]) -> ShownConfiguration:
    with _explain_errors():
        document = reads.read_document(experiment, what, arguments)
        with reads.understand(experiment.site):
            values, masked = mask_value(fields.take_object(document, "values"))
            masked = [*dict.fromkeys([*fields.take_texts(document, "masked"), *masked])]
            files, left_out = fields.take_texts(document, "files"), fields.take_texts(document, "left_out")
            return ShownConfiguration(values, masked, files, [*map(mask_text, left_out)])


def _take_change(row: dict[str, Any]) -> ConfigurationChange:
    pointer, change = fields.take_text(row, "pointer", most=_LONGEST_POINTER), fields.take_text(row, "change")
    if change not in ("added", "removed", "changed"):
        raise ProtocolError(f"{change!a} is no change")
    name = pointer.rpartition("/")[2]
    old, new = (mask_value({name: row.get(side)})[0][name] for side in ("old", "new"))
    return ConfigurationChange(pointer, change, old, new)


@contextmanager
def _explain_errors() -> Iterator[None]:
    try:
        yield
    except reads.Missing as error:
        raise MissingConfiguration(str(error)) from error
    except reads.Unreadable as error:
        raise UnreadableConfiguration(mask_text(str(error))) from error
    except reads.HostAway:
        raise
    except BrokenStore as error:
        raise UnreadableConfiguration(mask_text(str(error))) from error
