"""The configuration of an experiment as it is shown: of its files or of a run, without secrets; and what differs."""

from collections.abc import Iterable, Iterator
from configparser import RawConfigParser
from dataclasses import dataclass, field
from typing import Any

from autosubmit_portal.sentences import say
from experiments.autosubmit import installation
from experiments.autosubmit.configuration import BadConfiguration, NoConfiguration, read_configuration
from experiments.autosubmit.plain_data import BadData, parse_json
from experiments.autosubmit.store import Store
from jobs.autosubmit.database import Source
from jobs.autosubmit.history import UnreadableHistory, read_run_configuration
from jobs.autosubmit.secrets import list_leaves, mask_text, mask_value

_NOT_COMPARED = {"/AS_ENV_CURRENT_USER"}
"""Who ran the command of Autosubmit; nobody does when the files are read."""


class UnreadableConfiguration(Exception):
    """A configuration cannot be read now; the text says why, and names the file."""


class MissingConfiguration(Exception):
    """There is none: no files, or no such run; the text says which."""


@dataclass(frozen=True, slots=True)
class ShownConfiguration:
    """A configuration without its secrets.

    `masked` are the places of the secrets (JSON pointers). `files` were read, by their path in the experiment, and
    `left_out` are those that are named in it and were not, with the reason; both are empty for that of a run.
    """

    values: dict[str, Any]
    masked: list[str]
    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _unmasked: dict[str, Any] = field(default_factory=dict, repr=False)

    def list_leaves(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield where each value is, the value itself, which is not to be shown, and as it is shown."""
        return list_leaves(self._unmasked, self.values)


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """A value that is not the same in two configurations, as it is shown."""

    pointer: str
    change: str  # added, removed or changed
    old: Any = None
    new: Any = None


def read_shown_files(store: Store, rc: RawConfigParser, expid: str, description: str) -> ShownConfiguration:
    """Return the configuration that the files of an experiment say now; `rc` is the file of its Autosubmit.

    Raises MissingConfiguration and UnreadableConfiguration.
    """
    absence = store.explain_absence(expid)
    if absence:
        raise MissingConfiguration(say("The files of {expid} are not there: {absence}.", expid=expid, absence=absence))
    try:
        added = installation.read_parameters(rc)
        found = read_configuration(store.experiment_folder(expid), added, description)
    except NoConfiguration as error:
        raise MissingConfiguration(str(error)) from error
    except BadConfiguration as error:
        raise UnreadableConfiguration(mask_text(str(error))) from error
    return _mask_configuration(found.values, found.files, found.left_out)


def read_shown_run(history: Source, expid: str, run_id: int) -> ShownConfiguration:
    """Return the configuration that Autosubmit kept of a run in its history; an empty one if it kept none.

    Raises MissingConfiguration and UnreadableConfiguration.
    """
    try:
        text = read_run_configuration(history, run_id)
        if text is None:
            raise MissingConfiguration(say("{expid} has no run {run_id}.", expid=expid, run_id=run_id))
        return _mask_configuration(parse_json(text) if text else {})
    except BadData as error:
        reason = say(
            "The configuration of run {run_id} of {expid} cannot be read: {error}.",
            run_id=run_id,
            expid=expid,
            error=error,
        )
        raise UnreadableConfiguration(reason) from error
    except UnreadableHistory as error:
        raise UnreadableConfiguration(str(error)) from error


def compare_configurations(old: ShownConfiguration, new: ShownConfiguration) -> list[ConfigurationChange]:
    """Return what must change in `old` to make it `new`, in the order of the places.

    Secrets are compared, too: one that is another now is changed, and shown as little as before. A number and the text
    that says it are the same: Autosubmit keeps `CHUNKSIZE: '4'` as the number 4.
    """
    return _compare(old.list_leaves(), new.list_leaves())


def compare_shown(old: ShownConfiguration, new: ShownConfiguration) -> list[ConfigurationChange]:
    """Return the same of what is shown of two configurations: secrets are not compared, but where they stand is."""
    return _compare(list_leaves(old.values, old.values), list_leaves(new.values, new.values))


def _compare(old: Iterable[tuple[str, Any, Any]], new: Iterable[tuple[str, Any, Any]]) -> list[ConfigurationChange]:
    before = {pointer: (value, shown) for pointer, value, shown in old}
    after = {pointer: (value, shown) for pointer, value, shown in new}
    changes = []
    for pointer in sorted((before.keys() | after.keys()) - _NOT_COMPARED):
        if pointer not in before:
            changes.append(ConfigurationChange(pointer, "added", new=after[pointer][1]))
        elif pointer not in after:
            changes.append(ConfigurationChange(pointer, "removed", old=before[pointer][1]))
        elif not _is_same(before[pointer][0], after[pointer][0]):
            changes.append(ConfigurationChange(pointer, "changed", before[pointer][1], after[pointer][1]))
    return changes


def _is_same(old: Any, new: Any) -> bool:
    return old == new or (isinstance(old, str) != isinstance(new, str) and str(old) == str(new))


def _mask_configuration(
    values: dict[str, Any], files: list[str] | None = None, left_out: list[str] | None = None
) -> ShownConfiguration:
    shown, where = mask_value(values)
    return ShownConfiguration(shown, where, files or [], list(map(mask_text, left_out or [])), values)
