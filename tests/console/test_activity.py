"""What people did: one line for each act, with its entries, filters, search, pages and CSV."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.console.pages import activity as page
from autosubmit_portal.console.parts import acts
from autosubmit_portal.console.words import EVENTS
from experiments.activity import NEWEST, Position
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, State
from tests.console.pages import list_of, page_of, text_of
from tests.support import factories

ANA = Origin(door=Door.ADMIN, actor_name="ana", actor_id=7)
MIRROR = Origin(door=Door.MIRROR)
OF_OTHER_WORDS = r"action\.|note\.|sign_in\.|.*_outside$"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def stop(experiment: Experiment, **values: Any) -> Action:
    """An action of ana that has stopped the run, with its entries."""
    now = timezone.now()
    defaults: dict[str, Any] = {"kind": "stop", "actor_name": "ana", "state": State.SUCCEEDED, "reason": "disk full"}
    defaults |= {"started_at": now - 3 * MINUTE - timedelta(seconds=12), "ended_at": now}
    action = factories.create_action(experiment, **defaults | values)
    for event in ("action.requested", "action.running", "action.succeeded"):
        record(event, experiment, action_id=action.pk, kind="stop")
    return action


def record(event: str, experiment: Experiment | None, origin: Origin = ANA, **values: Any) -> AuditEntry:
    about: dict[str, Any] = (
        {"subject": str(experiment), "expid": experiment.expid, "site": experiment.site.slug} if experiment else {}
    )
    return trail.record(event, origin=origin, **about | values)


def lines(client: Client, address: str = "", **query: Any) -> list[str]:
    """Return the lines of the page, without marks, and without those of the accounts that the test itself makes."""
    found = client.get(address or reverse("admin:activity"), query)
    assert found.status_code == 200
    return [
        re.sub(r"\s+", " ", f"{line.person} {line.words} {line.subject} · {line.took} · {line.reason} · {line.outcome}")
        for line in found.context["lines"]
        if line.person != "command line"
    ]


STOPPED = "ana stopped a000 · 3 min 12 s · disk full · succeeded"


def test_an_action_is_one_line_whatever_entries_it_made(as_manager: Client, experiment: Experiment) -> None:
    stop(experiment)
    assert lines(as_manager) == [STOPPED]


def test_a_line_opens_to_its_entries_of_the_trail(as_manager: Client, experiment: Experiment) -> None:
    stop(experiment)
    shown = text_of(as_manager.get(reverse("admin:activity")))
    of_it = AuditEntry.objects.exclude(action_id=None)
    assert [page_of("audit_auditentry", entry.pk) in shown for entry in of_it] == 3 * [True]


def test_who_may_not_see_the_trail_sees_what_was_done_outside_without_its_entry(
    as_viewer: Client, experiment: Experiment
) -> None:
    stop(experiment)
    record("experiment.run_ended_outside", experiment, MIRROR, details={"owner": "root"})
    shown = as_viewer.get(reverse("admin:activity"))
    assert [(line.person, line.entries) for line in shown.context["lines"]] == [("root", ()), ("ana", ())]
    assert list_of("audit_auditentry") not in text_of(shown)
    address = shown.context["lines"][0].address
    assert lines(as_viewer, address) == ["root had a run that ended: a000 · · · outside the portal"]


@pytest.mark.parametrize("query", [{}, {"kind": "stop"}, {"kind": "other"}, {"outcome": "refused"}, {"expid": "a000"}])
def test_who_may_not_see_the_trail_sees_no_refusals_and_nothing_about_people(
    as_viewer: Client, experiment: Experiment, query: dict[str, str]
) -> None:
    record("action.refused", experiment, kind="stop", message="You may not.")
    record("delegation.made", experiment)
    record("team.created", None, subject="ocean")
    record("sign_in.failed", None)
    assert lines(as_viewer, **query) == []


def test_who_sees_an_experiment_but_not_its_jobs_reads_no_names_of_jobs(
    signed_in: Callable[[User], Client], experiment: Experiment
) -> None:
    user = factories.create_user()
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    record("experiment.jobs_changed_outside", experiment, MIRROR, message="a000_SIM")
    record("experiment.archived_outside", experiment, MIRROR)
    assert [line.split()[1] for line in lines(signed_in(user))] == ["archived"]


def test_who_manages_one_team_sees_what_was_done_outside_to_experiments_of_another(
    signed_in: Callable[[User], Client], experiment: Experiment
) -> None:
    user, other = factories.create_user(), factories.create_experiment(experiment.site, expid="a001", owner="ben")
    factories.create_team((user, Role.MANAGER), covers={"expid_pattern": "a000"})
    factories.create_team((user, Role.VIEWER), covers={"expid_pattern": "a001"})
    for one in (experiment, other):
        record("experiment.archived_outside", one, MIRROR)
        record("action.refused", one, kind="stop")
    found = signed_in(user).get(reverse("admin:activity")).context["lines"]
    assert [(line.words, line.subject, len(line.entries)) for line in found] == [
        ("archived", "a001", 0),
        ("asked to stop", "a000", 1),
        ("archived", "a000", 1),
    ]


def test_of_what_was_done_outside_the_owner_is_named_as_the_probable_one(
    as_viewer: Client, experiment: Experiment
) -> None:
    record("experiment.deleted_outside", experiment, MIRROR, details={"owner": "root"})
    assert lines(as_viewer) == ["probably root deleted a000 · · · outside the portal"]


def test_who_sees_one_experiment_sees_nothing_of_another(as_viewer: Client, experiment: Experiment) -> None:
    user = factories.create_user()
    factories.create_team((user, Role.MANAGER), covers={"owner": "ana"})
    other = factories.create_experiment(experiment.site, expid="a001", owner="ben")
    for one in (experiment, other):
        stop(one)
        record("experiment.run_ended_outside", one, MIRROR)
    client = Client()
    client.force_login(user)
    assert {line.subject for line in client.get(reverse("admin:activity")).context["lines"]} == {"a000"}


def test_what_was_done_outside_stands_among_the_actions_by_time(as_manager: Client, experiment: Experiment) -> None:
    stop(experiment)
    record("experiment.run_started_outside", experiment, MIRROR)
    stop(experiment)
    assert lines(as_manager) == [STOPPED, "somebody started a run of a000 · · · outside the portal", STOPPED]


def test_sign_ins_are_no_acts(as_manager: Client, experiment: Experiment) -> None:
    for event in ("sign_in.succeeded", "sign_in.failed", "sign_in.ended"):
        record(event, None)
    assert lines(as_manager) == []


def test_what_was_refused_is_an_act_of_who_asked(as_manager: Client, experiment: Experiment) -> None:
    record("action.refused", experiment, kind="set_status", message="You may not.")
    assert lines(as_manager) == ["ana asked to set the status of jobs of a000 · · · refused"]


def test_an_approval_is_an_act_of_who_approved(as_manager: Client, experiment: Experiment) -> None:
    action = stop(experiment)
    record("action.approved", experiment, replace(ANA, actor_name="ben"), action_id=action.pk, kind="stop")
    assert lines(as_manager, person="ben") == ["ben approved “stop” of a000 · · · "]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({}, 5),
        ({"person": "ana"}, 3),
        ({"person": "nobody"}, 0),
        ({"expid": "a000"}, 3),
        ({"kind": "stop"}, 4),
        ({"kind": "outside"}, 1),
        ({"kind": "other"}, 1),
        ({"outcome": "succeeded"}, 1),
        ({"outcome": "failed"}, 1),
        ({"outcome": "refused"}, 1),
        ({"outcome": "no such"}, 5),
        ({"period": "last_hour"}, 5),
        ({"until": "2001-01-01T00:00"}, 0),
        ({"since": "2001-01-01T00:00"}, 5),
        ({"q": "stop a000"}, 3),
        ({"q": "stop a001"}, 1),
        ({"q": "ana stop"}, 2),
        ({"q": "failed"}, 1),
        ({"q": "disk"}, 1),
        ({"q": "nothing of that"}, 0),
    ],
    ids=str,
)
def test_the_page_answers(as_manager: Client, experiment: Experiment, query: dict[str, str], number: int) -> None:
    stop(experiment)
    stop(factories.create_experiment(experiment.site, expid="a001"), actor_name="ben", state=State.FAILED, reason="")
    record("action.refused", experiment, kind="stop", message="It does not run.")
    record("experiment.run_ended_outside", experiment, MIRROR)
    record("team.created", None, subject="ocean")
    assert len(lines(as_manager, **query)) == number


def test_of_a_period_are_only_what_was_asked_for_in_it(as_manager: Client, experiment: Experiment) -> None:
    old = stop(experiment)
    Action.objects.filter(pk=old.pk).update(requested_at=timezone.now() - 30 * HOUR)
    factories.create_action(experiment, kind="stop", actor_name="ben", state=State.CANCELLED)
    assert [line.split()[0] for line in lines(as_manager, period="last_24_hours")] == ["ben"]


def test_a_time_that_is_none_is_told(as_manager: Client, experiment: Experiment) -> None:
    assert "A time looks like" in text_of(as_manager.get(reverse("admin:activity"), {"since": "yesterday"}))


def test_my_acts_are_mine_and_those_on_my_experiments(
    as_operator: Client, operator: User, experiment: Experiment
) -> None:
    stop(experiment, actor=operator, actor_name="me")
    stop(experiment)
    assert [line.split()[0] for line in lines(as_operator, whose="mine")] == ["me"]


def test_the_page_of_an_experiment_has_only_what_is_about_it(as_manager: Client, experiment: Experiment) -> None:
    stop(experiment)
    stop(factories.create_experiment(experiment.site, expid="a001"))
    record("experiment.run_ended_outside", experiment, MIRROR)
    address = reverse("admin:experiments_experiment_activity", args=[experiment])
    assert [line.partition(" ·")[0] for line in lines(as_manager, address)] == [
        "somebody had a run that ended: a000",
        "ana stopped a000",
    ]


def test_older_acts_are_on_the_next_pages_each_once(
    as_manager: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "ROWS", 2)
    for number in range(3):
        stop(experiment, reason=f"reason {number}")
        record("experiment.run_started_outside", experiment, MIRROR, message=f"run {number}")
    seen: list[str] = []
    before: Position | None = NEWEST
    while before is not None:
        found = as_manager.get(reverse("admin:activity"), {"expid": "a000", "before": str(before)})
        seen += [line.reason or line.message for line in found.context["lines"]]
        before = found.context["next"]
    assert seen == ["run 2", "reason 2", "run 1", "reason 1", "run 0", "reason 0"]


def test_all_that_is_chosen_comes_as_csv_and_that_is_recorded(
    as_manager: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "ROWS_AT_ONCE", 2)
    for _ in range(5):
        stop(experiment, reason="=1+1")
    answer = as_manager.get(reverse("admin:activity"), {"format": "csv", "person": "ana"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [(row["act"], row["reason"], row["seconds"]) for row in rows] == 5 * [("stopped", "'=1+1", "192")]
    (entry,) = AuditEntry.objects.filter(event="audit.exported")
    assert (entry.subject, entry.details["query"]) == ("activity", {"person": "ana"})


@pytest.mark.parametrize(
    ("kind", "done", "asked"),
    [
        ("run", "started", "start"),
        ("stop", "stopped", "stop"),
        ("restart", "restarted", "restart"),
        ("generate", "generated the job list of", "generate the job list of"),
        ("set_status", "set the status of jobs of", "set the status of jobs of"),
        ("reset_and_start", "reset jobs and started", "reset jobs and start"),
        ("set_status_live", "set the status of jobs in the run of", "set the status of jobs in the run of"),
        ("update_description", "updated the description of", "update the description of"),
        ("create", "created the experiment", "create an experiment"),
    ],
)
def test_an_action_is_said_in_the_past_and_what_was_not_done_as_what_was_asked_for(
    kind: str, done: str, asked: str
) -> None:
    assert (acts.say_done(kind), acts.say_asked(kind)) == (done, f"asked to {asked}")
    assert acts.say_tried(kind) == f"tried, without saving, to {asked}"


@pytest.mark.parametrize("kind", CATALOGUE)
def test_the_past_of_each_kind_begins_with_a_past_tense(kind: str) -> None:
    verbs = re.findall(r"^\w+|(?<= and )\w+", acts.say_done(kind))
    assert [verb for verb in verbs if not re.fullmatch(r"set|reset|(?!.*set)\w+ed", verb)] == []
    with translation.override("es"):
        verbs = re.findall(r"^\w+|(?<= e )\w+", gettext(acts.say_done(kind)))
        assert [verb for verb in verbs if not verb.endswith(("ó", "uvo"))] == []
        assert gettext(acts.say_asked(kind)).startswith("pidió ")


@pytest.mark.parametrize(
    ("event", "values", "line"),
    [
        ("delegation.made", {"subject": "delegation ana to olga: operator of everything"}, "made the delegation ana"),
        ("audit.exported", {"subject": "activity"}, "exported activity"),
        ("team.created", {"subject": "team ocean"}, "created team ocean"),
        ("group.permissions_changed", {"subject": "group Operator"}, "changed the permissions of group Operator"),
        ("freeze.made", {"subject": "freeze of local"}, "began the freeze of local"),
        ("lockout.lifted", {"subject": "user ben"}, "lifted the lockout of user ben"),
        ("team.experiment_added", {"subject": "team ocean", "expid": "a000"}, "added an experiment to team ocean"),
        ("no_such.refused", {"subject": "x"}, "was refused: no such x"),
    ],
)
def test_what_else_was_recorded_is_what_somebody_did_to_something(
    as_manager: Client, event: str, values: dict[str, Any], line: str
) -> None:
    record(event, None, ANA, **values)
    assert lines(as_manager)[0].startswith(f"ana {line}")


def test_a_line_in_another_language_has_no_english_words(as_manager: Client) -> None:
    record("delegation.made", None, subject="delegation ana to olga: operator of everything")
    shown = text_of(as_manager.get(reverse("admin:activity"), headers={"accept-language": "es"}))
    assert 'hizo la <b class="code">delegación de ana a olga: operador de todo' in shown


@pytest.mark.parametrize("event", [event for event in EVENTS if not re.match(OF_OTHER_WORDS, event)])
def test_what_is_recorded_is_said_with_a_past_tense_in_each_language(event: str) -> None:
    words = acts.say_recorded(event)
    assert re.match(r"made|began|chose|\w+ed\b", words)
    with translation.override("es"):
        assert re.match(r"\w+(ó|izo)\b", gettext(words))


def test_a_secret_in_a_reason_is_hidden(as_manager: Client, experiment: Experiment) -> None:
    stop(experiment, reason="password=hunter2")
    assert "hunter2" not in text_of(as_manager.get(reverse("admin:activity")))


def test_the_first_page_has_the_newest_lines_of_people(as_manager: Client, experiment: Experiment) -> None:
    stop(experiment)
    record("experiment.run_ended_outside", experiment, MIRROR)
    record("group.permissions_changed", None, Origin(door=Door.COMMAND_LINE), subject="group Operator")
    first, whole = as_manager.get("/").context["acts"], as_manager.get(reverse("admin:activity")).context["lines"]
    assert [line.words for line in first] == ["had a run that ended:", "stopped"]
    assert {line.key for line in first} < {line.key for line in whole}
