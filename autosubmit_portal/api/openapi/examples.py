"""Examples for the API's documentation; the tests hold them to the schema.

The example of an answer is made of its fields: each holds what stands here for its name, or what its type gives.
"""

from typing import Any

from rest_framework import serializers

from autosubmit_portal.api.http.errors import SIGN_IN, make_problem
from autosubmit_portal.api.serializers import common, configuration, experiments, jobs, logs, performance, tokens
from autosubmit_portal.api.serializers.actions import ActionItem, AuditItem, BulkResult, ChangeItem, DryRun
from autosubmit_portal.api.serializers.delegations import DelegationItem
from autosubmit_portal.api.serializers.fields import InstantField
from autosubmit_portal.api.serializers.freezes import AffectedItem, FreezeItem
from experiments.actions.parameters import make_serializer
from experiments.actions.validation import Shape
from experiments.catalogue.kinds import ActionKind

AT, LATER = "2026-11-24T09:00:00+00:00", "2026-11-24T18:00:00+00:00"
SIM, NEXT_SIM = "a000_20000101_fc0_1_SIM", "a000_20000101_fc0_2_SIM"
OUT, ERR = (f"{SIM}.20261124093000.{kind}" for kind in ("out", "err"))
RUN_LOG = "20261124_093000_run.log"
FINISHED = {"state": "succeeded", "started_at": AT, "ended_at": LATER, "exit_status": 0, "message": "Run successful"}
NOT_ALLOWED = (
    "ben may not do “Generate” on a000: the role manager in a team that covers a000 or at the site local is missing, "
    "and so is the permission experiments.request_generate, which would allow it everywhere. Ask a manager for one of "
    "them."
)

# What fields of these names hold, whatever they belong to.
OF_NAME: dict[str, Any] = {
    **dict.fromkeys(("actor", "grantor", "made_by", "owner", "user"), "ana"),
    **dict.fromkeys(("changed_at", "created", "looked_at", "modified", "refreshed_at", "start", "submit"), AT),
    **dict.fromkeys(("page", "total_pages", "page_items", "total_items", "steps"), 1),
    **dict.fromkeys(("next_offset", "size"), 15),
    **dict.fromkeys(("hpc", "platform"), "MN5"),
    **dict.fromkeys(("autosubmit_version", "version"), "4.1.17"),
    "chunk": 1,
    "chunk_size": 4,
    "chunk_unit": "month",
    "command": [["/opt/autosubmit/bin/autosubmit", "run", "a000"]],
    "completed": 40,
    "config": {
        "DEFAULT": {"EXPID": "a000", "HPCARCH": "MN5"},
        "GIT": {"PROJECT_ORIGIN": "https://ana:********@gitlab.example.org/model.git"},
        "JOBS": {"SIM": {"FILE": "sim.sh", "DEPENDENCIES": {"SIM-1": {}}, "RUNNING": "chunk"}},
        "contains_nones": False,
    },
    "date": "2000-01-01",
    "door": "api",
    "expid": "a000",
    "is_over": True,
    "job_name": SIM,
    "kind": "run",
    "masked": ["/GIT/PROJECT_ORIGIN"],
    "member": "fc0",
    "name": SIM,
    "priority": 3,
    "queuing": 2,
    "reason": "I am away over the weekend.",
    "run_host": "runs1",
    "run_id": 3,
    "running": 1,
    "section": "SIM",
    "site": "local",
    "status": "RUNNING",
    "text": "Run successful\n",
    "total": 64,
}
# What the fields of one shape, and of those made from it, hold instead.
OF_SHAPE: dict[Shape, dict[str, Any]] = {
    ActionItem: {
        "id": 17,
        "state": "queued",
        "reason": "first year",
        "url": "/v4/actions/17",
        "output_url": "/v4/actions/17/output",
    },
    AffectedItem: {"owner": "ben"},
    AuditItem: {
        "id": 512,
        "event": "action.requested",
        "actor_id": 3,
        "address": "192.0.2.7",
        "credential": "API token ab12cd34 nightly",
        "subject": "a000",
        "action": 17,
        "details": {"parameters": {}, "command": OF_NAME["command"]},
        "message": "first year",
        "previous": "01" + "5e" * 32,
        "digest": "01" + "c4" * 32,
    },
    BulkResult: {"status": 202},
    ChangeItem: {"job": NEXT_SIM, "old": "FAILED", "new": "READY"},
    DelegationItem: {
        "id": 5,
        "grantee": "ben",
        "role": "operator",
        "is_active": True,
        "team": "",
        "ends_at": LATER,
        "url": "/v4/delegations/5",
    },
    DryRun: {
        "dry_run": True,
        "kind": "set_status",
        "command": [
            ["/opt/autosubmit/bin/autosubmit", "setstatus", "a000", "--status_final=READY", f"--list={NEXT_SIM}"]
        ],
        "changes_total": 1,
        "children": [{"job": "a000_20000101_fc0_2_POST", "status": "WAITING"}],
        "children_total": 1,
        "warnings": [f"{NEXT_SIM}: READY does not let it start before its parent has completed, {SIM} (FAILED)."],
    },
    jobs.FailureReason: {
        "name": "time-limit",
        "title": "Time limit",
        "meaning": "The job was still working when its wallclock was over, and was ended.",
        "advice": "If it only needs longer, raise WALLCLOCK of its section, then reset the job.",
        "line": "slurmstepd: error: *** JOB 4711 ON n12 CANCELLED AT 2026-11-24T09:30:00 DUE TO TIME LIMIT ***",
        "log": ERR,
    },
    FreezeItem: {
        "id": 3,
        "message": "The batch system is updated.",
        "is_active": True,
        "ends_at": LATER,
        "url": "/v4/freezes/3",
    },
    common.Health: dict.fromkeys(common.Health().fields, "ok"),
    configuration.FileSystemConfiguration: {
        "files": ["conf/expdef_a000.yml", "conf/jobs_a000.yml"],
        "left_out": ["/home/ana/platforms.yml is outside of the folder of a000"],
    },
    experiments.ExperimentItem: {
        "id": 12,
        "name": "a000",
        "description": "Control run, 1850-1900",
        "is_running": True,
        "evidence": "process 4711 holds the lock",
        "status_counts": {"COMPLETED": 40, "QUEUING": 2, "RUNNING": 1, "WAITING": 21},
        "active_action": 17,
    },
    experiments.ExperimentDetail: {"branch": "main", "recorded_status": "RUNNING", "are_edges_known": True},
    experiments.PermissionItem: {
        "title": "Start",
        "allowed": True,
        "via": "operator in the team ocean",
        "reason": "ben may do “Start”: operator in the team ocean.",
    },
    experiments.HostItem: {"name": "runs1", "node": "runs1.example.org", "refused": ["create"], "rules_asked_at": AT},
    experiments.HostStateItem: {"channel": "ssh", "is_connected": True},
    experiments.SiteItem: {
        "slug": "local",
        "name": "Local",
        "is_default": True,
        "is_healthy": True,
        "mirrored_at": AT,
        "swept_at": AT,
        "mirrored_by": "node1:4242",
        "is_mirror_fresh": True,
        "enabled_kinds": ["run", "stop"],
    },
    jobs.EtaItem: {
        "eta_seconds": 23400.0,
        "chunks_total": 12,
        "chunks_remaining": 9,
        "avg_runtime_per_chunk_seconds": 2600.0,
    },
    jobs.JobDetail: {
        "date": "20000101",
        "out_path_local": f"/esarchive/autosubmit/a000/tmp/LOG_a000/{OUT}",
        "err_path_local": f"/esarchive/autosubmit/a000/tmp/LOG_a000/{ERR}",
        "remote_id": 21131708,
        "qos": "debug",
        "processors": 768,
        "wallclock": "01:30",
    },
    jobs.JobItem: {"out_path_local": OUT, "err_path_local": ERR},
    jobs.MetricItem: {"metric_name": "peak_memory_mb", "metric_value": "5120"},
    jobs.Relative: {"job_name": NEXT_SIM, "status": "WAITING"},
    jobs.WrapperItem: {"wrapper_name": "a000_ASThread_17637290011234567_1_8", "job_names": [SIM, NEXT_SIM]},
    logs.LogItem: {"name": RUN_LOG, "url": f"/v4/experiments/a000/logs/{RUN_LOG}"},
    logs.LogMatch: {
        "line": 104,
        "offset": 8731,
        "length": 6,
        "excerpt": "2026-11-24 09:31:02,114 Job a000_BAD is FAILED",
    },
    logs.LogMatches: {"name": RUN_LOG, "file": "fe01-2c01a", "is_complete": True},
    logs.LogPart: {"name": RUN_LOG, "file": "fe01-2c01a"},
    performance.MetricsItem: {
        "sypd": 3.61,
        "asypd": 2.94,
        "rsypd": 2.2,
        "chsy": 5106.38,
        "jpsy": None,
        "parallelization": 768,
        "years": 12.0,
        "considered": 36,
        "left_out": 1,
    },
    performance.SectionCostItem: {
        "name": "SIM",
        "jobs": 64,
        "queue_seconds": 1240.0,
        "run_seconds": 7980.5,
        "longest_run_seconds": 9120,
        "core_hours": 61276.6,
    },
    tokens.Identity: {"authenticated": True},
    tokens.TokenItem: {
        "id": "9c1f4a7b2d8e063",
        "name": "nightly report on login1",
        "kinds": ["run", "stop"],
        "teams": None,
        "expires_at": "2027-02-22T09:00:00+00:00",
    },
    tokens.NewToken: {"token": "9c1f4a7b2d8e063…"},
}
OF_TYPE: list[tuple[type[serializers.Field[Any, Any, Any, Any]], Any]] = [
    (InstantField, AT),
    (serializers.BooleanField, False),
    (serializers.IntegerField, 0),
    (serializers.FloatField, 0.0),
    (serializers.ListField, []),
    (serializers.DictField, {}),
]

_ACTION = {"action_id": 17, "action": "/v4/actions/17"}
_ILLEGAL = "“fly” is not an action. Legal: run, stop."
PROBLEMS: dict[int, dict[str, Any]] = {
    found["status"]: found
    for found in (
        make_problem(400, "invalid-parameters", f"action: {_ILLEGAL}", errors={"action": [_ILLEGAL]}),
        make_problem(401, "unauthorized", SIGN_IN),
        make_problem(403, "forbidden", NOT_ALLOWED, permission="experiments.request_generate"),
        make_problem(404, "not-found", "There is no experiment a0zz."),
        make_problem(405, "method-not-allowed", 'Method "DELETE" not allowed.'),
        make_problem(406, "not-acceptable", "Could not satisfy the request Accept header."),
        make_problem(409, "conflict", "Action 17 is active on a000. Wait for it, or cancel it.", **_ACTION),
        make_problem(413, "body-too-long", "The body is longer than 2,621,440 bytes. Use a filter instead."),
        make_problem(415, "unsupported-media-type", "Unsupported media type “text/plain” in request."),
        make_problem(416, "range-not-satisfiable", "The log has 13672 bytes; the range is beyond its end."),
        make_problem(
            422,
            "idempotency-key-reused",
            "The idempotency key “7f1c” has been used for another request, which made action 17. "
            "Repeat that request as it was, or take a new key.",
            **_ACTION,
        ),
        make_problem(429, "throttled", "Request was throttled. Expected available in 30 seconds."),
        make_problem(503, "store-unreadable", "The metrics metrics_a000.db cannot be read: database is locked."),
    )
}


def make_example(shape: Shape, **differing: Any) -> dict[str, Any]:
    """Return an example of a shape; `differing` is what some of its fields hold. Optional fields may be absent."""
    known = dict(OF_NAME)
    for base in reversed(shape.__mro__):
        known |= OF_SHAPE.get(base, {})
    known |= differing
    fields = shape().fields.items()
    return {
        name: known[name] if name in known else _make_example_of_type(name, field)
        for name, field in fields
        if field.required or name in known
    }


def _make_example_of_type(name: str, field: Any) -> Any:
    """Return the first thing that a field may hold."""
    if isinstance(field, serializers.ListSerializer):
        item: Any = field.child
        return [make_example(type(item))]
    if isinstance(field, serializers.Serializer):
        return make_example(type(field))
    if field.allow_null:
        return None
    if isinstance(field, serializers.ChoiceField):
        return next(iter(field.choices))
    if isinstance(field, serializers.URLField):
        return f"https://portal.example.org/v4/{name}"
    return next((value for kind, value in OF_TYPE if isinstance(field, kind)), "")


def make_parameters(kind: ActionKind, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
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
