"""What can be read of an experiment. All of this runs in a reader, never in the agent's own process."""

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple

from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.fields import (
    refuse_others,
    take_flag,
    take_number,
    take_object,
    take_text,
    take_texts,
)
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.experiment import read_experiment, read_fresh, read_stops
from autosubmit_portal.agent.readers.place import Answer, Place, make_document
from autosubmit_portal.agent.readers.project import read_project
from autosubmit_portal.sentences import say
from experiments.autosubmit.host_rules import BadRules, list_refused
from experiments.autosubmit.shown_configuration import (
    ShownConfiguration,
    compare_configurations,
    read_shown_files,
    read_shown_run,
)
from experiments.autosubmit.store import BrokenStore, take_settled_fingerprint
from jobs.autosubmit.history import read_job_attempts, read_past_attempts
from jobs.autosubmit.logs.reader import ExperimentLogs, JobLogs, Log, Logs
from jobs.autosubmit.logs.search import MAX_TEXT, search
from jobs.autosubmit.user_metrics import read_metric_runs, read_metrics

MOST_DESCRIPTION = 10_000
MOST_LOG_BYTES = 16 * 1024 * 1024
MOST_MATCHES = 1_000
_LONGEST_NAME = 1_000
_LARGEST = 2**63 - 1


def _read_configuration(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "description")
    found = _read_files(place, arguments)
    return {}, make_document(_tell_configuration(found))


def _read_run_configuration(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "run_id")
    return {}, make_document(_tell_configuration(_read_run(place, arguments)))


def _read_configuration_changes(place: Place, arguments: Message) -> Answer:
    """Secrets are compared here: the portal never has them."""
    refuse_others(arguments, "description", "run_id")
    changes = compare_configurations(_read_run(place, arguments), _read_files(place, arguments))
    return {}, make_document({"changes": [asdict(change) for change in changes]})


def _read_metric_runs(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments)
    runs = read_metric_runs(place.store.metrics_database(place.expid))
    return {}, make_document({"runs": runs})


def _read_metrics(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "run_id")
    found = read_metrics(place.store.metrics_database(place.expid), take_number(arguments, "run_id"))
    return {}, make_document({"metrics": [asdict(metric) for metric in found]})


def _read_attempts(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments)
    found = read_past_attempts(place.store.history_database(place.expid))
    return {}, make_document({"attempts": [astuple(attempt) for attempt in found]})


def _read_job_attempts(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "job")
    found = read_job_attempts(place.store.history_database(place.expid), _take_job(arguments))
    return {}, make_document({"attempts": [astuple(attempt) for attempt in found]})


def _list_logs(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "job", "named")
    found = _find_logs(place, arguments).list_files()
    logs = [{**asdict(log), "modified_at": log.modified_at.timestamp()} for log in found]
    return {}, make_document({"logs": logs})


def _read_log(place: Place, arguments: Message) -> Answer:
    """A negative `offset` counts from the end."""
    refuse_others(arguments, "job", "named", "name", "offset", "limit")
    offset, limit = _take_offset(arguments), take_number(arguments, "limit", most=MOST_LOG_BYTES)
    with _open_log(place, arguments) as log:
        size = log.size
        start = max(0, size + offset) if offset < 0 else offset
        return _tell_log(log, size) | {"offset": start}, log.read(start, limit)


def _search_log(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "job", "named", "name", "offset", "line", "text", "most_matches", "ignore_case")
    offset = _take_offset(arguments)
    with _open_log(place, arguments) as log:
        size = log.size
        found = search(
            log,
            take_text(arguments, "text", most=MAX_TEXT),
            offset=max(0, size + offset) if offset < 0 else offset,
            line=take_number(arguments, "line", least=1),
            limit=take_number(arguments, "most_matches", least=1, most=MOST_MATCHES),
            ignore_case=take_flag(arguments, "ignore_case"),
        )
        return _tell_log(log, size), make_document(asdict(found))


def _find_log_paths(place: Place, arguments: Message) -> Answer:
    refuse_others(arguments, "job", "named")
    logs = JobLogs(place.store.experiment_folder(place.expid), _take_job(arguments), take_texts(arguments, "named"))
    found = {name: logs.find_path(name) for name in logs.named}
    return {}, make_document({"paths": {name: str(path) for name, path in found.items() if path}})


def _read_state(place: Place, arguments: Message) -> Answer:
    """The state of a database, by which it is known whether it must be read again; null where that cannot be told."""
    refuse_others(arguments, "of")
    databases = {"history": place.store.history_database, "metrics": place.store.metrics_database}
    of = take_text(arguments, "of")
    if of not in databases:
        raise ProtocolError(say("{of}, which has no state", of=ascii(of)))
    fingerprint = take_settled_fingerprint(databases[of](place.expid))
    return {"state": repr(fingerprint) if fingerprint else None}, b""


def _read_rules(place: Place, arguments: Message) -> Answer:
    """The commands of Autosubmit that this host may not run, and the programs that the file of the site names."""
    refuse_others(arguments, "programs")
    try:
        refused = list_refused(place.rc, platform.node())
        return {"node": platform.node(), "refused": refused, "programs": take_object(arguments, "programs")}, b""
    except BadRules as error:
        raise BrokenStore(
            say("{error}. Autosubmit runs nothing with that: correct its rc file.", error=error)
        ) from error


READINGS: dict[str, Callable[[Place, Message], Answer]] = {
    "configuration": _read_configuration,
    "run configuration": _read_run_configuration,
    "configuration changes": _read_configuration_changes,
    "metric runs": _read_metric_runs,
    "metrics": _read_metrics,
    "attempts": _read_attempts,
    "job attempts": _read_job_attempts,
    "logs": _list_logs,
    "log": _read_log,
    "log search": _search_log,
    "log paths": _find_log_paths,
    "state": _read_state,
    "fresh": read_fresh,
    "experiment": read_experiment,
    "stops": read_stops,
    "rules": _read_rules,
    "project": read_project,
}


def _read_files(place: Place, arguments: Message) -> ShownConfiguration:
    description = take_text(arguments, "description", most=MOST_DESCRIPTION)
    return read_shown_files(place.store, place.rc, place.expid, description)


def _read_run(place: Place, arguments: Message) -> ShownConfiguration:
    history = place.store.history_database(place.expid)
    return read_shown_run(history, place.expid, take_number(arguments, "run_id"))


def _tell_configuration(found: ShownConfiguration) -> Message:
    return {"values": found.values, "masked": found.masked, "files": found.files, "left_out": found.left_out}


def _find_logs(place: Place, arguments: Message) -> Logs:
    folder = place.store.experiment_folder(place.expid)
    if "job" not in arguments:
        return ExperimentLogs(folder)
    return JobLogs(folder, _take_job(arguments), take_texts(arguments, "named"))


def _take_job(arguments: Message) -> str:
    return take_text(arguments, "job", most=_LONGEST_NAME)


@contextmanager
def _open_log(place: Place, arguments: Message) -> Iterator[Log]:
    try:
        with _find_logs(place, arguments).open(take_text(arguments, "name", most=_LONGEST_NAME)) as log:
            yield log
    except OSError as error:
        raise OSError(say("The log cannot be read: {error}.", error=error.strerror or error)) from error


def _take_offset(arguments: Message) -> int:
    return take_number(arguments, "offset", least=-(2**53), most=2**53)


def _tell_log(log: Log, size: int) -> Message:
    return {
        "name": log.name,
        "plain_name": log.plain_name,
        "file": log.identity,
        "size": size,
        "stored_size": log.status.st_size,
        "modified_ns": min(max(log.status.st_mtime_ns, -_LARGEST), _LARGEST),
        "quiet_seconds": max(0, int(time.time() - log.status.st_mtime)),
        "is_compressed": log.is_compressed,
    }
