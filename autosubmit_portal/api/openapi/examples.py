"""Example answers for the API's documentation; the tests hold them to the schema and to live answers."""

from typing import Any

from autosubmit_portal.api.http.errors import problem
from experiments.actions.parameters import make_serializer
from experiments.catalogue.kinds import ActionKind

EXPERIMENT_ITEM: dict[str, Any] = {
    "id": 12,
    "name": "a000",
    "user": "ana",
    "description": "Control run, 1850-1900",
    "hpc": "MN5",
    "version": "4.1.17",
    "created": "2026-10-01T08:00:00+00:00",
    "modified": "2026-11-24T09:30:12+00:00",
    "status": "RUNNING",
    "completed": 40,
    "total": 64,
    "submitted": 0,
    "queuing": 2,
    "running": 1,
    "failed": 0,
    "suspended": 0,
    "site": "local",
    "expid": "a000",
    "owner": "ana",
    "is_running": True,
    "evidence": "process 4711 holds the lock",
    "status_counts": {"COMPLETED": 40, "QUEUING": 2, "RUNNING": 1, "WAITING": 21},
    "problem": "",
    "problem_since": None,
    "disagreement": "",
    "disagrees_since": None,
    "refreshed_at": "2026-11-24T09:30:13+00:00",
    "changed_at": "2026-11-24T09:30:12+00:00",
    "active_action": 17,
}
EXPERIMENT = EXPERIMENT_ITEM | {
    "autosubmit_version": "4.1.17",
    "model": None,
    "owner_note": "",
    "unwatched_note": "",
    "branch": "main",
    "looked_at": "2026-11-24T09:30:14+00:00",
    "recorded_status": "RUNNING",
    "are_edges_known": True,
    "edges_note": "",
    "gone_at": None,
}
PAGE = {
    "page": 1,
    "page_size": 12,
    "total_pages": 1,
    "page_items": 1,
    "total_items": 1,
    "next": None,
    "previous": None,
}
EXPERIMENTS = {"experiments": [EXPERIMENT_ITEM], "pagination": PAGE}

JOB_ITEM: dict[str, Any] = {
    "name": "a000_20000101_fc0_1_SIM",
    "status": "RUNNING",
    "priority": 3,
    "section": "SIM",
    "date": "2000-01-01",
    "member": "fc0",
    "chunk": 1,
    "split": None,
    "splits": None,
    "out_path_local": "a000_20000101_fc0_1_SIM.20261124093000.out",
    "err_path_local": "a000_20000101_fc0_1_SIM.20261124093000.err",
    "out_path_remote": "",
    "err_path_remote": "",
}
JOBS = {"jobs": [JOB_ITEM], "pagination": PAGE | {"page_size": None}}
JOB = {
    "name": "a000_20000101_fc0_1_SIM",
    "status": "RUNNING",
    "section": "SIM",
    "date": "20000101",
    "member": "fc0",
    "chunk": 1,
    "split": None,
    "splits": None,
    "out_path_local": "/esarchive/autosubmit/a000/tmp/LOG_a000/a000_20000101_fc0_1_SIM.20261124093000.out",
    "err_path_local": "/esarchive/autosubmit/a000/tmp/LOG_a000/a000_20000101_fc0_1_SIM.20261124093000.err",
    "chunk_size": 4,
    "chunk_unit": "month",
    "platform": "MN5",
    "remote_id": 21131708,
    "qos": "debug",
    "workflow_commit": None,
    "processors": 768,
    "submit": "2026-11-24T09:29:30+00:00",
    "start": "2026-11-24T09:30:00+00:00",
    "finish": None,
    "wallclock": "01:30",
    "planned": [],
    "last_wrapper": None,
    "site": "local",
    "expid": "a000",
    "priority": 3,
    "fail_count": 0,
}
PARENTS = {"parents": [{"job_name": "a000_20000101_fc0_INI", "status": "COMPLETED"}]}
CHILDREN = {"children": [{"job_name": "a000_20000101_fc0_2_SIM", "status": "WAITING"}]}
WRAPPERS = {
    "wrappers": [
        {
            "wrapper_name": "a000_ASThread_17637290011234567_1_8",
            "job_names": ["a000_20000101_fc0_1_SIM", "a000_20000101_fc0_2_SIM"],
        }
    ]
}
METRIC_RUNS = {"runs": [{"run_id": 2}, {"run_id": 1}]}
METRICS = {
    "run_id": 2,
    "metrics": [
        {
            "job_name": "a000_20000101_fc0_1_SIM",
            "metric_name": "peak_memory_mb",
            "metric_value": "5120",
            "modified": "2026-11-24T09:30:12+00:00",
        }
    ],
}
ETA = {
    "eta_seconds": 23400.0,
    "chunks_total": 12,
    "chunks_remaining": 9,
    "avg_runtime_per_chunk_seconds": 2600.0,
}
RUN = {
    "run_id": 3,
    "start": "2026-11-24T09:00:00+00:00",
    "finish": None,
    "chunk_unit": "month",
    "chunk_size": 4,
    "completed": 40,
    "total": 64,
    "failed": 0,
    "queuing": 2,
    "running": 1,
    "submitted": 0,
    "suspended": 0,
}
RUNS = {"runs": [RUN]}
CONFIGURATION: dict[str, Any] = {
    "DEFAULT": {"EXPID": "a000", "HPCARCH": "MN5"},
    "EXPERIMENT": {
        "DATELIST": 20000101,
        "MEMBERS": "fc0",
        "CHUNKSIZEUNIT": "month",
        "CHUNKSIZE": 4,
        "NUMCHUNKS": 2,
    },
    "GIT": {"PROJECT_ORIGIN": "https://ana:********@gitlab.example.org/model.git"},
    "JOBS": {
        "SIM": {"FILE": "sim.sh", "DEPENDENCIES": {"SIM-1": {}}, "ADDITIONAL_FILES": [], "RUNNING": "chunk"}
    },
    "contains_nones": False,
}
MASKED = ["/GIT/PROJECT_ORIGIN"]
RUN_CONFIGURATION = {"run_id": 3, "config": CONFIGURATION, "masked": MASKED}
FILE_SYSTEM_CONFIGURATION = {
    "config": CONFIGURATION,
    "masked": MASKED,
    "files": ["conf/expdef_a000.yml", "conf/jobs_a000.yml"],
    "left_out": ["/home/ana/platforms.yml is outside of the folder of a000"],
}

QUEUED_ACTION: dict[str, Any] = {
    "id": 17,
    "kind": "run",
    "state": "queued",
    "site": "local",
    "expid": "a000",
    "actor": "ana",
    "on_behalf_of": "",
    "door": "api",
    "reason": "first year",
    "parameters": {},
    "command": [["/opt/autosubmit/bin/autosubmit", "run", "a000"]],
    "unix_name": "",
    "is_dry_run": False,
    "step": 0,
    "approval_expires_at": None,
    "approved_by": "",
    "approved_at": None,
    "requested_at": "2026-11-24T09:00:00.123456+00:00",
    "started_at": None,
    "ended_at": None,
    "exit_status": None,
    "message": "",
    "job_changes": [],
    "url": "/v4/actions/17",
    "output_url": "/v4/actions/17/output",
}
FINISHED_ACTION = QUEUED_ACTION | {
    "state": "succeeded",
    "started_at": "2026-11-24T09:00:00.400000+00:00",
    "ended_at": "2026-11-24T10:12:31.500000+00:00",
    "exit_status": 0,
    "message": "Run successful",
}
CANCELLED_ACTION = QUEUED_ACTION | {
    "state": "cancelled",
    "ended_at": "2026-11-24T09:00:02.000000+00:00",
    "message": "Cancelled by ana before it started.",
}
APPROVED_ACTION = QUEUED_ACTION | {
    "approval_expires_at": "2026-11-25T09:00:00.123456+00:00",
    "approved_by": "ben",
    "approved_at": "2026-11-24T09:20:00.000000+00:00",
}
REJECTED_ACTION = QUEUED_ACTION | {
    "state": "cancelled",
    "approval_expires_at": "2026-11-25T09:00:00.123456+00:00",
    "ended_at": "2026-11-24T09:20:00.000000+00:00",
    "message": "Rejected by ben: Wait for the new forcing.",
}
ACTIONS = {"next": None, "previous": None, "results": [FINISHED_ACTION]}
DRY_RUN: dict[str, Any] = {
    "dry_run": True,
    "kind": "set_status",
    "site": "local",
    "expid": "a000",
    "command": [
        [
            "/opt/autosubmit/bin/autosubmit",
            "setstatus",
            "--save",
            "--noplot",
            "a000",
            "--status_final=READY",
            "--list=a000_20000101_fc0_2_SIM",
        ]
    ],
    "unix_name": "",
    "needs_approval": False,
    "warning": "",
    "would_lose": "",
    "changes": [{"job": "a000_20000101_fc0_2_SIM", "old": "FAILED", "new": "READY"}],
    "changes_total": 1,
    "children": [{"job": "a000_20000101_fc0_2_POST", "status": "WAITING"}],
    "children_total": 1,
    "warnings": [
        "a000_20000101_fc0_2_SIM: READY does not let it start before its parents have completed, "
        "a000_20000101_fc0_1_SIM (FAILED)."
    ],
}
BULK: dict[str, Any] = {
    "results": [
        {"expid": "a000", "site": "local", "status": 202, "is_replay": False, "action": QUEUED_ACTION},
        {
            "expid": "a001",
            "site": "local",
            "status": 409,
            "problem": problem(409, "conflict", "a001 has no job list yet. Generate it first."),
        },
    ]
}
BULK_DRY_RUN = {"results": [{"expid": "a000", "site": "local", "status": 200, "dry_run": DRY_RUN}]}
BULK_BODY = {"kind": "run", "targets": [{"expid": "a000"}, {"expid": "a001"}], "reason": "first year"}
BULK_OF_JOBS = {
    "kind": "set_status",
    "targets": [{"expid": "a000", "site": "local", "jobs": ["a000_20000101_fc0_1_SIM"]}],
    "parameters": {"status": "WAITING"},
}
OUTPUT = {
    "step": 0,
    "steps": 1,
    "offset": 0,
    "next_offset": 15,
    "size": 15,
    "text": "Run successful\n",
    "is_over": True,
}
LOGS = {
    "logs": [
        {
            "name": "20261124_093000_run.log",
            "kind": "run",
            "size": 13672,
            "modified": "2026-11-24T10:12:31.500000+00:00",
            "is_compressed": False,
            "url": "/v4/experiments/a000/logs/20261124_093000_run.log",
        }
    ],
    "pagination": PAGE | {"page_size": 50},
}
JOB_LOGS = {
    "logs": [
        {
            "name": "a000_20000101_fc0_1_SIM.20261124093000.out.gz",
            "kind": "out",
            "size": 5505,
            "modified": "2026-11-24T10:12:31.500000+00:00",
            "is_compressed": True,
            "url": "/v4/experiments/a000/jobs/a000_20000101_fc0_1_SIM/logs/"
            "a000_20000101_fc0_1_SIM.20261124093000.out.gz",
        }
    ],
    "pagination": PAGE | {"page_size": 50},
}
LOG_PART = {
    "name": "20261124_093000_run.log",
    "file": "fe01-2c01a",
    "offset": 0,
    "next_offset": 15,
    "size": 15,
    "text": "Run successful\n",
    "is_reset": False,
    "is_over": True,
}
LOG_MATCHES = {
    "name": "20261124_093000_run.log",
    "file": "fe01-2c01a",
    "size": 13672,
    "matches": [
        {
            "line": 104,
            "offset": 8731,
            "length": 6,
            "excerpt": "2026-11-24 09:31:02,114 Job a000_BAD is FAILED",
        }
    ],
    "next_offset": 13667,
    "next_line": 158,
    "is_complete": True,
}
AUDIT_ENTRY: dict[str, Any] = {
    "id": 512,
    "at": "2026-11-24T09:00:00.123456+00:00",
    "event": "action.requested",
    "actor": "ana",
    "actor_id": 3,
    "address": "192.0.2.7",
    "door": "api",
    "credential": "API token ab12cd34 nightly",
    "on_behalf_of": "",
    "subject": "a000",
    "site": "local",
    "expid": "a000",
    "action": 17,
    "kind": "run",
    "details": {"parameters": {}, "command": QUEUED_ACTION["command"]},
    "message": "first year",
    "previous": "01" + "5e" * 32,
    "digest": "01" + "c4" * 32,
}
AUDIT = {"next": None, "previous": None, "results": [AUDIT_ENTRY]}
TOKEN: dict[str, Any] = {
    "id": "9c1f4a7b2d8e063",
    "name": "nightly report on login1",
    "user": "ana",
    "kinds": ["run", "stop"],
    "teams": None,
    "created_at": "2026-11-24T09:00:00.123456+00:00",
    "expires_at": "2027-02-22T09:00:00.123456+00:00",
    "last_used_at": "2026-11-24T09:30:12+00:00",
    "last_used_address": "192.0.2.7",
}
TOKENS = {"next": None, "previous": None, "results": [TOKEN]}
NEW_TOKEN = TOKEN | {
    "last_used_at": None,
    "last_used_address": None,
    "token": "9c1f4a7b2d8e063…",
}
TOKEN_BODY = {"name": "nightly report on login1", "days": 90, "kinds": ["run", "stop"]}
READING_TOKEN_BODY = {"name": "wall display", "kinds": []}
IDENTITY = {"authenticated": True, "user": "ana"}
SITE = {
    "slug": "local",
    "name": "Local",
    "is_default": True,
    "is_healthy": True,
    "problem": "",
    "autosubmit_version": "4.1.17",
    "mirrored_at": "2026-11-24T09:30:13+00:00",
    "swept_at": "2026-11-24T09:30:11+00:00",
    "mirrored_by": "node1:4242",
    "is_mirror_fresh": True,
    "run_as": "service",
    "most_commands": None,
    "approval_kinds": [],
    "enabled_kinds": ["run", "stop"],
}
SITES = {"next": None, "previous": None, "results": [SITE]}
DELEGATION: dict[str, Any] = {
    "id": 5,
    "grantor": "ana",
    "grantee": "ben",
    "role": "operator",
    "team": "",
    "expid": "a000",
    "site": "local",
    "is_active": True,
    "starts_at": "2026-11-27T16:00:00+00:00",
    "ends_at": "2026-11-30T08:00:00+00:00",
    "reason": "I am away over the weekend.",
    "revoked_at": None,
    "revoked_by": "",
    "url": "/v4/delegations/5",
}
REVOKED_DELEGATION = DELEGATION | {
    "is_active": False,
    "revoked_at": "2026-11-28T09:00:00+00:00",
    "revoked_by": "ana",
}
DELEGATIONS = {"next": None, "previous": None, "results": [DELEGATION]}
DELEGATION_BODY = {
    "grantee": "ben",
    "role": "operator",
    "expid": "a000",
    "ends_at": "2026-11-30T08:00:00+00:00",
    "reason": "I am away over the weekend.",
}
FREEZE: dict[str, Any] = {
    "id": 3,
    "site": "local",
    "platform": "MN5",
    "message": "The batch system is updated.",
    "is_active": True,
    "starts_at": "2026-11-24T06:00:00+00:00",
    "ends_at": "2026-11-24T18:00:00+00:00",
    "ended_at": None,
    "made_by": "ana",
    "ended_by": "",
    "url": "/v4/freezes/3",
}
FREEZES = {"next": None, "previous": None, "results": [FREEZE]}
FREEZE_DETAIL = FREEZE | {"affected": [{"expid": "a000", "owner": "ben", "hpc": "MN5"}]}
ENDED_FREEZE = FREEZE | {
    "is_active": False,
    "ended_at": "2026-11-24T15:20:00+00:00",
    "ended_by": "ana",
    "affected": [],
}
FREEZE_BODY = {
    "site": "local",
    "platform": "MN5",
    "message": "The batch system is updated.",
    "ends_at": "2026-11-24T18:00:00+00:00",
}
HEALTH = dict.fromkeys(
    (
        "database",
        "migrations",
        "trail",
        "search",
        "broker",
        "workers",
        "queue",
        "mirror",
        "sites",
        "program",
        "disk",
        "files",
    ),
    "ok",
)
HEALTH_DOWN = dict.fromkeys(HEALTH, "unknown") | {"database": "down"}

_NOT_ALLOWED = (
    "ben may not do “Generate” on a000: the role manager in a team that covers a000 or at the site local is missing, "
    "and so is the permission experiments.request_generate, which would allow it everywhere. Ask a manager for one of "
    "them."
)
PERMISSIONS = {
    "expid": "a000",
    "site": "local",
    "permissions": [
        {
            "kind": "run",
            "title": "Start",
            "allowed": True,
            "via": "operator in the team ocean",
            "reason": "ben may do “Start”: operator in the team ocean.",
        },
        {"kind": "generate", "title": "Generate", "allowed": False, "via": "", "reason": _NOT_ALLOWED},
    ],
}

PROBLEMS: dict[int, dict[str, Any]] = {
    400: problem(
        400,
        "invalid-parameters",
        "action: “fly” is not an action. Legal: run, stop.",
        errors={"action": ["“fly” is not an action. Legal: run, stop."]},
    ),
    401: problem(
        401, "unauthorized", "Sign in to the console, or send the header `Authorization: Bearer <token>`."
    ),
    403: problem(
        403,
        "forbidden",
        _NOT_ALLOWED,
        permission="experiments.request_generate",
    ),
    404: problem(404, "not-found", "There is no experiment a0zz."),
    406: problem(406, "not-acceptable", "Could not satisfy the request Accept header."),
    409: problem(
        409,
        "conflict",
        "Action 17 is active on a000. Wait for it, or cancel it.",
        action_id=17,
        action="/v4/actions/17",
    ),
    413: problem(413, "body-too-long", "The body is longer than 2,621,440 bytes. Use a filter instead."),
    415: problem(415, "unsupported-media-type", "Unsupported media type “text/plain” in request."),
    416: problem(416, "range-not-satisfiable", "The log has 13672 bytes; the range is beyond its end."),
    422: problem(
        422,
        "idempotency-key-reused",
        "The idempotency key “7f1c” has been used for another request, which made action 17. "
        "Repeat that request as it was, or take a new key.",
        action_id=17,
        action="/v4/actions/17",
    ),
    429: problem(429, "throttled", "Request was throttled. Expected available in 30 seconds."),
    503: problem(
        503,
        "store-unreadable",
        "The metrics /esarchive/autosubmit/a000/tmp/metrics_a000.db cannot be read: database is locked.",
    ),
}


def parameters_example(kind: ActionKind, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return valid parameters of a kind: the examples of its options, as far as they go together."""
    example = {option.name: option.example for option in kind.options if option.required}
    for option in kind.options:
        longer = example | {option.name: option.example}
        if option.example is not None and _is_valid(kind, longer):
            example = longer
    return {name: value for name, value in example.items() if name not in left_out}


def _is_valid(kind: ActionKind, parameters: dict[str, Any]) -> bool:
    checked = make_serializer(kind)(data=parameters)
    return checked.is_valid() and not (kind.check and kind.check(checked.validated_data))
