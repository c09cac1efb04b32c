"""One request for many experiments: an action and an answer for each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken, SiteAccount
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import get_uid
from autosubmit_portal.api.bulk import MOST_TARGETS
from autosubmit_portal.audit import tally
from autosubmit_portal.audit.models import AuditEntry, Tally
from experiments.actions import batches
from experiments.actions.batches import MOST_AT_ONCE
from experiments.actions.bulk import MOST_LISTED, MOST_TOLD
from experiments.models import Action, Experiment, Site, State
from experiments.models.site import RunAs
from experiments.permissions import synchronise_permissions
from tests.api.test_schema import document, errors_of
from tests.support import factories

BULK = "/v4/actions"
MANY = 200


@pytest.fixture
def three(site: Site) -> list[Experiment]:
    """Three experiments: two that can be started, and one without a job list."""
    made = [factories.create_experiment(site, expid=expid) for expid in ("a000", "a001", "a002")]
    for experiment in made[:2]:
        factories.create_job(experiment, f"{experiment.expid}_SIM", status="FAILED")
    return made


def ask(client: APIClient, *expids: str, kind: str = "run", key: str = "", **body: Any) -> Any:
    targets = [{"expid": expid} for expid in expids]
    headers = {"Idempotency-Key": key} if key else None
    return client.post(BULK, {"kind": kind, "targets": targets} | body, format="json", headers=headers)


def token_client(user: User, **limits: Any) -> APIClient:
    """Return a client that comes with a token of a user."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {factories.create_token(user, **limits)}")
    return client


def statuses(answer: Any) -> list[int]:
    return [result["status"] for result in answer.json()["results"]]


def refusals() -> list[tuple[str, str]]:
    entries = AuditEntry.objects.filter(event="action.refused").order_by("pk")
    return list(entries.values_list("subject", "kind"))


def test_each_experiment_gets_an_action_of_its_own(as_operator: APIClient, three: list[Experiment]) -> None:
    answer = ask(as_operator, "a001", "a000", reason="first year")
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [(result["expid"], result["site"], result["status"]) for result in results] == [
        ("a001", "local", 202),
        ("a000", "local", 202),
    ]
    found = {action.expid: action for action in Action.objects.all()}
    assert [result["action"]["id"] for result in results] == [found["a001"].pk, found["a000"].pk]
    assert {action.reason for action in found.values()} == {"first year"}
    assert AuditEntry.objects.filter(event="action.requested").count() == 2


def test_what_is_refused_keeps_no_other_from_being_accepted(as_operator: APIClient, three: list[Experiment]) -> None:
    active = factories.create_action(three[1], kind="restart")
    answer = ask(as_operator, "a002", "a001", "a0zz", "a000")
    assert (answer.status_code, statuses(answer)) == (202, [409, 409, 404, 202])
    no_jobs, busy, unknown, _ = (result.get("problem") for result in answer.json()["results"])
    assert "Generate it first" in no_jobs["detail"]
    assert busy["action_id"] == active.pk
    assert unknown["detail"] == "There is no experiment a0zz."


def test_every_refusal_is_told_by_one_entry(as_operator: APIClient, three: list[Experiment]) -> None:
    Experiment.objects.filter(expid="a001").update(is_running=True)
    ask(as_operator, "a000", "a002", "a001", "a0zz")
    entry = AuditEntry.objects.get(event="action.refused")
    assert (entry.subject, entry.site, entry.expid, entry.kind) == ("3 experiments", "local", "", "run")
    assert [refused["expid"] for refused in entry.details["refused"]] == ["a002", "a001", "a0zz"]
    assert entry.details["refused"][2]["reason"] == "There is no experiment a0zz."
    assert entry.message.startswith("a002: a002 has no job list yet.")


def test_one_refusal_among_many_is_recorded_as_if_it_had_been_asked_for_alone(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    ask(as_operator, "a000", "a002", "a001")
    ask(as_operator, "a0zz")
    assert refusals() == [("a002", "run"), ("a0zz", "run")]
    assert [entry.expid for entry in AuditEntry.objects.filter(event="action.refused")] == ["a002", "a0zz"]


def test_refusals_of_very_many_are_named_up_to_a_bound(as_viewer: APIClient, site: Site) -> None:
    made = [factories.create_experiment(site) for _ in range(MOST_LISTED + 7)]
    ask(as_viewer, *[experiment.expid for experiment in made])
    entry = AuditEntry.objects.get(event="action.refused")
    assert (len(entry.details["refused"]), entry.details["more"]) == (MOST_LISTED, 7)
    assert entry.message.endswith(f" And {MOST_LISTED + 7 - MOST_TOLD} more.")


def test_refusals_at_several_sites_are_an_entry_for_each(as_viewer: APIClient, site: Site) -> None:
    other = factories.create_site(slug="other")
    made = [factories.create_experiment(at) for at in (site, other, site, other)]
    ask(as_viewer, *[experiment.expid for experiment in made], "a0zz")
    entries = AuditEntry.objects.filter(event="action.refused").order_by("pk")
    assert [(entry.site, entry.subject) for entry in entries] == [
        ("local", "3 experiments"),
        ("other", "2 experiments"),
    ]


def test_bulk_requests_that_are_refused_count_as_one_refusal_each(
    as_viewer: APIClient, three: list[Experiment]
) -> None:
    for _ in range(tally.MOST_REFUSALS + 2):
        ask(as_viewer, "a000", "a001", "a002")
    assert refusals() == [("3 experiments", "run")] * tally.MOST_REFUSALS
    assert Tally.objects.get().held == 2


def test_names_of_jobs_that_contradict_the_parameters_are_a_recorded_refusal(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    targets = [{"expid": "a000", "jobs": ["a000_SIM"]}]
    parameters = {"status": "READY", "jobs": ["a001_SIM"]}
    answer = ask(as_operator, kind="set_status", targets=targets, parameters=parameters)
    assert statuses(answer) == [400]
    assert refusals() == [("a000", "set_status")]


def test_who_lacks_the_permission_is_refused_each(as_viewer: APIClient, three: list[Experiment]) -> None:
    answer = ask(as_viewer, "a000", "a001")
    assert (answer.status_code, statuses(answer)) == (200, [403, 403])
    assert answer.json()["results"][0]["problem"]["permission"] == "experiments.request_run"
    assert refusals() == [("2 experiments", "run")]


def test_jobs_are_named_for_each_experiment(as_operator: APIClient, three: list[Experiment]) -> None:
    targets = [{"expid": "a000", "jobs": ["a000_SIM"]}, {"expid": "a001", "jobs": ["a000_SIM"]}]
    answer = ask(as_operator, kind="set_status", targets=targets, parameters={"status": "READY"})
    assert (answer.status_code, statuses(answer)) == (202, [202, 400])
    accepted, refused = answer.json()["results"]
    assert accepted["action"]["jobs"] == ["a000_SIM"]
    assert refused["problem"]["errors"] == {"jobs": ["Not a job of a001: a000_SIM."]}


def test_jobs_are_chosen_by_a_filter_for_all(as_operator: APIClient, three: list[Experiment]) -> None:
    parameters = {"status": "READY", "filter_status": ["FAILED"]}
    assert statuses(ask(as_operator, "a000", "a001", kind="set_status", parameters=parameters)) == [202, 202]


def test_the_same_expid_at_two_sites_is_two_experiments(as_operator: APIClient, three: list[Experiment]) -> None:
    other = factories.create_experiment(factories.create_site(slug="other"), expid="a000")
    factories.create_job(other)
    assert statuses(ask(as_operator, "a000")) == [409]
    targets = [{"expid": "a000", "site": "local"}, {"expid": "a000", "site": "other"}]
    assert statuses(ask(as_operator, targets=targets)) == [202, 202]


def test_a_reason_is_needed_only_where_something_is_lost(as_manager: APIClient, three: list[Experiment]) -> None:
    answer = ask(as_manager, "a000", "a002", kind="generate")
    assert statuses(answer) == [400, 202]
    lost = "a000 loses the progress of 1 job: 1 FAILED."
    assert answer.json()["results"][0]["problem"]["errors"] == {"reason": [f"Say why: {lost}"]}


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_dry_run_answers_each_command_and_changes_nothing(
    as_operator: APIClient, three: list[Experiment], query: str
) -> None:
    body = {"kind": "run", "targets": [{"expid": "a000"}, {"expid": "a002"}]}
    answer = as_operator.post(BULK + query, body if query else body | {"dry_run": True}, format="json")
    assert (answer.status_code, statuses(answer)) == (200, [200, 409])
    assert answer.json()["results"][0]["dry_run"]["command"][0][1:] == ["run", "a000"]
    assert not Action.objects.exists()


def test_a_wait_answers_the_ends(as_operator: APIClient, three: list[Experiment]) -> None:
    ask(as_operator, "a000", key="k")
    Action.objects.update(state=State.SUCCEEDED, message="Done")
    body = {"kind": "run", "targets": [{"expid": "a000"}]}
    answer = as_operator.post(BULK, body, format="json", HTTP_IDEMPOTENCY_KEY="k", HTTP_PREFER="wait=5")
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=5")
    assert answer.json()["results"][0]["action"]["message"] == "Done"


# --- Repeating it


def test_a_repeated_request_answers_the_first_actions(as_operator: APIClient, three: list[Experiment]) -> None:
    first, again = (ask(as_operator, "a000", "a001", key="k") for _ in range(2))
    assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
    assert [result["is_replay"] for result in again.json()["results"]] == [True, True]
    ids = [[result["action"]["id"] for result in answer.json()["results"]] for answer in (first, again)]
    assert ids[0] == ids[1]
    assert Action.objects.count() == 2


def test_what_was_refused_is_asked_for_again(as_operator: APIClient, three: list[Experiment]) -> None:
    assert statuses(ask(as_operator, "a000", "a002", key="k")) == [202, 409]
    factories.create_job(three[2])
    again = ask(as_operator, "a000", "a002", key="k")
    assert statuses(again) == [202, 202]
    assert [result["is_replay"] for result in again.json()["results"]] == [True, False]


@pytest.mark.parametrize(
    "body", [{"targets": [{"expid": "a001"}]}, {"reason": "another"}, {"kind": "restart"}], ids=str
)
def test_another_body_under_the_same_key_is_refused_as_a_whole(
    as_operator: APIClient, three: list[Experiment], body: Any
) -> None:
    first = ask(as_operator, "a000", key="k").json()["results"][0]["action"]["id"]
    answer = ask(as_operator, "a000", key="k", **body)
    assert (answer.status_code, answer.json()["action_id"]) == (422, first)
    assert refusals() == [("many experiments", "")]
    assert Action.objects.count() == 1


# --- Malformed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "fly"}, "kind"),
        ({"kind": "create"}, "kind"),
        ({"targets": []}, "targets"),
        ({"targets": "a000"}, "targets"),
        ({"targets": ["a000"]}, "targets"),
        ({"targets": [{"site": "local"}]}, "targets"),
        ({"targets": [{"expid": "a000"}, {"expid": "a000"}]}, "targets"),
        ({"targets": [{"expid": "a000"}, {"expid": "a000", "site": "local"}]}, "targets"),
        ({"targets": [{"expid": "a000", "job": ["a000_SIM"]}]}, "targets"),
        ({"targets": [{"expid": f"a{number:03d}"} for number in range(MOST_TARGETS + 1)]}, "targets"),
        ({"parameters": ["READY"]}, "parameters"),
        ({"dryrun": True}, "dryrun"),
        ({"dry_run": "perhaps"}, "dry_run"),
        ({"reason": "a\0b"}, "reason"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_malformed_request_is_refused_as_a_whole(
    as_operator: APIClient, three: list[Experiment], body: Any, field: str
) -> None:
    whole = {"kind": "run", "targets": [{"expid": "a000"}]} | body if body else {"targets": [{"expid": "a000"}]}
    answer = as_operator.post(BULK, whole, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert refusals() == [("many experiments", "")]
    assert not Action.objects.exists()


def test_a_body_that_is_no_object_is_refused_and_recorded(as_operator: APIClient, three: list[Experiment]) -> None:
    for body in ("[]", "{", '"run"'):
        assert as_operator.post(BULK, body, content_type="application/json").status_code == 400
    assert refusals() == [("many experiments", "")] * 3


# --- Documented, and bounded


def test_the_answers_are_as_described(as_operator: APIClient, three: list[Experiment]) -> None:
    told = document()["paths"][BULK]["post"]["responses"]
    for answer in (ask(as_operator, "a000", "a002"), ask(as_operator, "a001", dry_run=True)):
        schema = told[str(answer.status_code)]["content"]["application/json"]["schema"]
        assert errors_of(schema, answer.json()) == []


def create_many(site: Site, number: int) -> list[str]:
    """Create experiments with a job each and return their expids."""
    made = [factories.create_experiment(site, hpc="MN5") for _ in range(number)]
    for experiment in made:
        factories.create_job(experiment, f"{experiment.expid}_SIM", status="FAILED", platform="LUMI")
    return [experiment.expid for experiment in made]


def statements(client: APIClient, *expids: str, **body: Any) -> list[str]:
    """Return what is said to the database for a request whose targets are all accepted, or all refused."""
    with CaptureQueriesContext(connection) as captured:
        answer = ask(client, *expids, **body)
    assert len(set(statuses(answer))) == 1
    return [query["sql"] for query in captured]


def test_many_experiments_are_asked_for_with_few_queries_for_each_batch(
    api: Callable[..., APIClient], operator: User, site: Site
) -> None:
    said = statements(api(operator), *create_many(site, MANY), key="k")
    assert Action.objects.count() == AuditEntry.objects.filter(event="action.requested").count() == MANY
    # key, freeze, look again, savepoint, turn, actions (three on SQLite), place, entries, savepoint
    assert len(said) <= 11 * (MANY // MOST_AT_ONCE) + 10


BODIES: dict[str, dict[str, Any]] = {
    "run": {},
    "stop": {"kind": "stop"},
    "filter": {"kind": "set_status", "parameters": {"status": "READY", "filter_status": ["FAILED"]}},
    "dry run": {"dry_run": True},
    "refused": {"kind": "generate"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("who", ["with a role", "lent", "in a team", "by a limited token"])
def test_no_experiment_more_costs_a_query_more(
    api: Callable[..., APIClient], site: Site, body: dict[str, Any], who: str
) -> None:
    factories.create_freeze(site, platform="VEGA")
    Site.objects.update(run_as=RunAs.ACTOR)
    actor = factories.create_user(username="ana")
    SiteAccount.objects.create(user=actor, site=site, unix_name="ana")
    first, few, many = (create_many(site, number) for number in (2, 2, 20))
    Experiment.objects.update(owner_uid=get_uid("ana"))
    client = CLIENTS[who](actor)
    if body.get("kind") == "stop":
        Experiment.objects.update(is_running=True)
    cost = [len(statements(client, *expids, **body, key=expids[0])) for expids in (first, few, many)]
    assert cost[1] == cost[2]


def with_a_role(actor: User) -> APIClient:
    actor.groups.add(Group.objects.get(name=Role.MANAGER.title))
    return token_client(actor)


def lent(actor: User) -> APIClient:
    team = factories.create_team()
    team.experiments.set(Experiment.objects.all())
    factories.create_delegation(factories.create_user(Role.MANAGER), actor, role=Role.MANAGER, team=team)
    return token_client(actor)


def in_a_team(actor: User) -> APIClient:
    factories.create_team((actor, Role.MANAGER)).experiments.set(Experiment.objects.all())
    return token_client(actor)


def by_a_limited_token(actor: User) -> APIClient:
    actor.groups.add(Group.objects.get(name=Role.MANAGER.title))
    team = factories.create_team()
    team.experiments.set(Experiment.objects.all())
    made = token_client(actor, only_teams=True)
    ApiToken.objects.get(user=actor).teams.add(team)
    return made


CLIENTS = {"with a role": with_a_role, "lent": lent, "in a team": in_a_team, "by a limited token": by_a_limited_token}


def test_actions_and_entries_are_in_the_order_of_the_targets(as_operator: APIClient, site: Site) -> None:
    expids = create_many(site, 2 * MOST_AT_ONCE + 1)[::-1]
    ask(as_operator, *expids)
    assert list(Action.objects.order_by("pk").values_list("expid", flat=True)) == expids
    entries = AuditEntry.objects.filter(event="action.requested").order_by("pk")
    assert list(entries.values_list("expid", flat=True)) == expids
    assert list(entries.values_list("action_id", flat=True)) == list(
        Action.objects.order_by("pk").values_list("pk", flat=True)
    )


def test_each_action_has_a_message_of_its_own(
    as_operator: APIClient, three: list[Experiment], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        ask(as_operator, "a000", "a001")
    assert [message.task["args"] for message in OrmQ.objects.order_by("pk")] == [
        (action.pk,) for action in Action.objects.order_by("pk")
    ]


# --- Others at the same moment, and what fails in the middle


def before(said: str, interrupt: Callable[[], Any], turn: int = 1) -> Any:
    """Do something right before a statement that begins so is executed, when it comes for the time `turn`."""
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(said):
            seen.append(sql)
            if len(seen) == turn:
                interrupt()
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


def test_who_was_faster_with_one_of_many_is_in_the_way_of_that_one_only(as_operator: APIClient, site: Site) -> None:
    expids = create_many(site, 9)
    busy = Experiment.objects.get(expid=expids[4])
    somebody = factories.create_administrator()
    with before("SAVEPOINT", lambda: factories.create_action(busy, kind="restart", actor=somebody)):
        answer = ask(as_operator, *expids)
    assert statuses(answer) == [202] * 4 + [409] + [202] * 4
    faster = Action.objects.get(kind="restart")
    assert answer.json()["results"][4]["problem"]["action_id"] == faster.pk
    entries = AuditEntry.objects.filter(event="action.requested").order_by("pk")
    assert [entry.expid for entry in entries] == expids[:4] + expids[5:]


def fail() -> None:
    raise OperationalError("the server closed the connection unexpectedly")


def test_a_batch_that_fails_leaves_the_others_whole_and_says_so(
    as_operator: APIClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_AT_ONCE", 2)
    expids = create_many(site, 6)
    with before('INSERT INTO "experiments_action"', fail, turn=2):
        answer = ask(as_operator, *expids, key="k")
    assert statuses(answer) == [202, 202, 503, 503, 202, 202]
    assert Action.objects.count() == AuditEntry.objects.filter(event="action.requested").count() == 4
    again = ask(as_operator, *expids, key="k")
    replays = [result["is_replay"] for result in again.json()["results"]]
    assert (statuses(again), replays) == ([202] * 6, [True, True, False, False, True, True])


def test_refusals_that_cannot_be_recorded_do_not_hide_what_was_made(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    with before('UPDATE "audit_tally"', fail):
        answer = ask(as_operator, "a000", "a002", "a0zz")
    assert statuses(answer) == [202, 503, 503]


def test_what_nobody_foresaw_in_one_batch_is_told_with_what_was_made(
    as_operator: APIClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_AT_ONCE", 1)
    with before('INSERT INTO "experiments_action"', lambda: 1 / 0, turn=2):
        answer = ask(as_operator, *create_many(site, 3))
    assert statuses(answer) == [202, 500, 202]
    assert Action.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
def test_two_who_name_the_same_experiments_in_another_order_do_not_wait_for_each_other() -> None:
    synchronise_permissions()
    expids = create_many(factories.create_site(), MOST_AT_ONCE)
    clients = [token_client(factories.create_user(Role.OPERATOR)) for _ in range(2)]

    def ask_for(number: int) -> list[int]:
        try:
            return statuses(ask(clients[number], *expids[:: 1 - 2 * number]))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            forwards, backwards = pool.map(ask_for, range(2))
            assert [sorted(pair) for pair in zip(forwards, backwards[::-1], strict=True)] == [[202, 409]] * len(expids)
            Action.objects.update(state=State.SUCCEEDED)
