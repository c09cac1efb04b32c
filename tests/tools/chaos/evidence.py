"""What is left after the faults: rows, trail, ledger and run directories, read without the portal, and compared."""

import re
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.tools.chaos.client import Asked
from tests.tools.chaos.fleet import Fleet
from tests.tools.chaos.restoring import Forgotten
from tests.tools.chaos.rows import query

ACTIVE = ("awaiting_approval", "queued", "running")
TERMINAL = ("succeeded", "failed", "cancelled", "lost")
COLUMNS = "id, kind, state, expid, reason, idempotency_key, exit_status, step, command, message"
EVENTS = "SELECT event, action_id, kind, expid, details FROM audit_auditentry ORDER BY id"
# What a person asked for on top, and may ask for any number of times.
EXTRA_EVENTS = {"action.cancel_requested", "action.cancel_refused"}
# A stop is for a run; the description is used by nothing else.
OVERTAKING = ("stop", "updatedescrip")
# What a mirror tells of experiments that are not there any more.
GONE_EVENTS = {f"experiment.{what}_outside" for what in ("deleted", "archived", "folder_lost")}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger."""

    event: str
    name: str
    command: str
    expid: str
    pid: int
    at: float
    status: int


@dataclass(slots=True)
class Evidence:
    """Everything that can be found out afterwards."""

    actions: dict[int, dict[str, Any]]
    entries: list[dict[str, Any]]
    ledger: list[Line]
    outputs: dict[str, str]
    full_disk: list[tuple[float, float]]
    rebooted: set[str]
    forgotten: Forgotten

    @property
    def started(self) -> list[Line]:
        return [line for line in self.ledger if line.event == "started" and line.name != "terminal"]

    @property
    def ended(self) -> dict[str, Line]:
        return {line.name: line for line in self.ledger if line.event == "ended"}

    @property
    def unknown(self) -> set[str]:
        """Commands that a restored database knows nothing of."""
        return {*self.forgotten.commands.values()}

    def is_lost_with_database(self, action: dict[str, Any], end: Line) -> bool:
        """Answer whether nobody knew any more how a command had ended when its action came back from the backup."""
        return action["state"] == "lost" and end.at < self.forgotten.restored_at

    @property
    def cancelled(self) -> set[int]:
        """Actions whose running command somebody asked to end."""
        return {e["action_id"] for e in self.entries if e["event"] == "action.cancel_requested"}


def gather(fleet: Fleet, full_disk: list[tuple[float, float]], rebooted: set[str], forgotten: Forgotten) -> Evidence:
    """Read everything; `rebooted` are the keys of the commands that a restart of their host has ended."""
    actions = query(fleet, f"SELECT {COLUMNS} FROM experiments_action ORDER BY id")
    steps = query(fleet, "SELECT action_id, number, key, output FROM experiments_step")
    outputs = {f"{row['action_id']}/{row['number']}": _inflate(row["output"]) for row in steps}
    names = forgotten.commands | {row["key"]: f"{row['action_id']}/{row['number']}" for row in steps}
    lines = (fleet.store / "ledger").read_text().splitlines()
    return Evidence(
        actions={row["id"]: row for row in actions},
        entries=query(fleet, EVENTS),
        ledger=[_line(text, names) for text in lines],
        outputs=outputs,
        full_disk=full_disk,
        rebooted={names.get(key, key) for key in rebooted},
        forgotten=forgotten,
    )


def active(fleet: Fleet) -> list[int]:
    """Return the actions that have not ended."""
    states = ", ".join(f"'{state}'" for state in ACTIVE)
    return [row["id"] for row in query(fleet, f"SELECT id FROM experiments_action WHERE state IN ({states})")]


def unkept(fleet: Fleet) -> list[int]:
    """Return the actions whose output is at a host still."""
    return [row["action_id"] for row in query(fleet, "SELECT action_id FROM experiments_step WHERE NOT is_forgotten")]


def _line(text: str, names: dict[str, str]) -> Line:
    event, key, command, expid, pid, at, status = text.split()
    return Line(event, names.get(key, key), command, expid, int(pid), float(at), int(status))


def _inflate(output: bytes | None) -> str:
    return zlib.decompress(bytes(output)).decode() if output else ""


def commands_started_twice(found: Evidence) -> Iterator[str]:
    """The first guarantee: a command starts at most once per action."""
    for name, count in Counter(line.name for line in found.started).items():
        if count > 1:
            yield f"the command {name} started {count} times"


def commands_at_once(found: Evidence) -> Iterator[str]:
    """The third: one at a time on an experiment, but for what may overtake others, and one creation at a time."""
    until: dict[str, tuple[float, str]] = defaultdict(lambda: (0.0, ""))
    for line in sorted(found.started, key=lambda line: line.at):
        if line.command in OVERTAKING or line.name in found.unknown:
            continue
        end = found.ended.get(line.name, line).at
        last, other = until[line.expid]
        if line.at < last:
            yield f"{line.command} {line.name} started on {line.expid} while {other} was active"
        until[line.expid] = max((last, other), (end, line.name))


def runs_lost(found: Evidence) -> Iterator[str]:
    """The second: what was started is known, with its output and exit status once it has ended."""
    for line in found.started:
        if line.name in found.unknown:
            continue
        pk, step = map(int, line.name.split("/")) if "/" in line.name else (0, 0)
        action = found.actions.get(pk)
        if action is None:
            yield f"the command {line.name} belongs to no action"
            continue
        end = found.ended.get(line.name)
        if line.name in found.rebooted:
            if not end and action["state"] == "succeeded":
                yield f"the command {line.name} ended with its host, and its action has succeeded"
        elif end:
            yield from _what_is_unknown(found, action, step, end)
        elif pk not in found.cancelled:  # nobody else ends a command: it must have said how it ended
            yield f"the command {line.name} has not ended; its action: {action['state']}"


def _what_is_unknown(found: Evidence, action: dict[str, Any], step: int, end: Line) -> Iterator[str]:
    if found.is_lost_with_database(action, end):
        return
    if step == action["step"] and action["exit_status"] != end.status:
        yield f"{end.name} ended with {end.status}; its action: {action['state']}, {action['exit_status']}"
    began = next(line.at for line in found.started if line.name == end.name)
    if any(start <= end.at and began <= stop for start, stop in found.full_disk):
        return  # there was no room for what it printed
    if not re.search("^output of .* ends$", found.outputs.get(end.name, ""), re.MULTILINE):
        yield f"the output of {end.name} is not whole"


def actions_stuck(found: Evidence) -> Iterator[str]:
    """Nothing stays active without a command that lives."""
    for pk, action in found.actions.items():
        if action["state"] in ACTIVE:
            yield f"action {pk} ({action['kind']} {action['expid']}) is {action['state']}"


def audit_lines_wrong(found: Evidence) -> Iterator[str]:
    """The fourth: of each thing that happened to an action exactly one entry, and no other."""
    of_action: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in found.entries:
        if entry["action_id"] is not None:
            of_action[entry["action_id"]].append(entry)
    for pk in of_action.keys() - found.actions.keys():
        yield f"there are entries of an action {pk}, which does not exist"
    names = {line.name for line in found.started} - found.unknown
    for pk, action in found.actions.items():
        said = [entry["event"] for entry in of_action[pk] if entry["event"] not in EXTRA_EVENTS]
        steps = [entry["details"]["step"] for entry in of_action[pk] if entry["event"] == "action.command_started"]
        if not _is_as_it_should(action, said):
            yield f"action {pk} ({action['state']}) has the entries {said}"
        if len(steps) != len(set(steps)) or any(
            f"{pk}/{step}" in names and step not in steps for step in range(len(action["command"]))
        ):
            yield f"action {pk} has entries of started commands {steps}"


def _is_as_it_should(action: dict[str, Any], said: list[str]) -> bool:
    """Compare with: requested, running, one command_started for each step, the end; in this order."""
    rest = [event for event in said if event != "action.command_started"]
    start, end = ["action.requested"], [f"action.{action['state']}"]
    if action["state"] == "cancelled" and rest == start + end:
        return "action.command_started" not in said  # taken back before it started
    if action["state"] in ACTIVE:
        return rest[:1] == start
    return rest == [*start, "action.running", *end] and said[-1:] == end


def failed_by_silence(found: Evidence) -> Iterator[str]:
    """No answer is no failure: what waits goes on waiting, and what has ended is confirmed later."""
    for pk, action in found.actions.items():
        if action["state"] == "failed" and action["message"].startswith("The files are read by the host"):
            yield f"action {pk} ({action['kind']} {action['expid']}) has failed: {action['message']}"


def called_gone(found: Evidence) -> Iterator[str]:
    """Nobody deletes, archives or runs anything outside: who says so takes silence for evidence."""
    for entry in found.entries:
        if entry["event"] in GONE_EVENTS:
            yield f"the trail has {entry['event']} of {entry['expid']}"


def answers_wrong(found: Evidence, asked: list[Asked]) -> Iterator[str]:
    """What clients were told is true, and no request made two actions."""
    made: dict[str, list[int]] = defaultdict(list)
    for pk, action in found.actions.items():
        made[action["reason"]].append(pk)
    for request in asked:
        actions = made.pop(request.name, [])
        if len(actions) > 1:
            yield f"the request {request.name} made the actions {actions}"
        if not request.ids <= set(actions) and request.name not in found.forgotten.reasons:
            yield f"the request {request.name} was answered {request.answers}, there is {actions}"
        if actions and not request.ids and not request.is_unsure:
            yield f"the request {request.name} was refused {request.answers} and made {actions}"
        if any(status not in (200, 202, 400, 404, 409) for status, _ in request.answers):
            yield f"the request {request.name} was answered {request.answers}"
    for name, actions in made.items():
        yield f"nobody made the request {name!r} of the actions {actions}"


def refusals_unrecorded(found: Evidence, asked: list[Asked]) -> Iterator[str]:
    """Each refusal that a client saw is one entry; there are more only where an answer did not arrive."""
    seen: Counter[str] = Counter()
    unsure: Counter[str] = Counter()
    for request in asked:
        seen[request.kind] += sum(status in (400, 409) for status, _ in request.answers)
        unsure[request.kind] += request.is_unsure
    kinds = (entry["kind"] for entry in found.entries if entry["event"] == "action.refused")
    recorded = Counter("description" if kind == "update_description" else kind for kind in kinds)
    for kind, number in found.forgotten.refusals.items():
        recorded["description" if kind == "update_description" else kind] += number
    for kind in seen.keys() | recorded.keys():
        if recorded[kind] < seen[kind] or (recorded[kind] > seen[kind] and not unsure[kind]):
            yield f"{seen[kind]} refusals of {kind} were answered, {recorded[kind]} are in the trail"


def chain_broken(fleet: Fleet) -> Iterator[str]:
    """Whatever died, the entries are one chain; only the portal knows its key."""
    try:
        fleet.portal.manage("audit", "verify")
    except AssertionError as broken:
        yield str(broken)


def experiments_doubled(fleet: Fleet) -> Iterator[str]:
    """Creations one at a time: two at once would have got the same expid."""
    with closing(sqlite3.connect(fleet.store / "autosubmit" / "autosubmit.db")) as connection:
        names = Counter(row[0] for row in connection.execute("SELECT name FROM experiment"))
    for name, count in names.items():
        if count > 1:
            yield f"the expid {name} was given {count} times"
