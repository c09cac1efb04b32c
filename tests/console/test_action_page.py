"""The page of an action: its output while it runs, cancelling it, and asking for the same again."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from autosubmit_portal.gateway.caller import Unanswered
from experiments.catalogue.kinds import CATALOGUE, GENERATE, RESTART, RUN, SET_STATUS, STOP, ActionKind
from experiments.models import Action, Experiment, State
from jobs.models import Job
from tests.console.pages import commands_in, filled, form_of, page_of, text_of
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.steps import create_step, find_directory

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST)


def page(client: Client, action: Action) -> str:
    return text_of(client.get(page_of("experiments_action", action.pk)))


def again_link(shown: str) -> str:
    """Return where “Request again” leads."""
    return shown.partition('">Request again…')[0].rpartition('href="')[2].replace("&amp;", "&").partition('"')[0]


# --- Output


def running(experiment: Experiment, output: bytes = b"", **values: Any) -> Action:
    action = factories.create_action(experiment, state=State.RUNNING, step_started_at="2026-01-01T00:00Z", **values)
    create_step(action, printed=output)
    return action


def write(action: Action, output: bytes) -> None:
    with (find_directory(action) / "output").open("ab") as file:
        file.write(output)


def piece(client: Client, action: Action, step: int = 0, **query: int) -> dict[str, Any]:
    answer = client.get(f"/actions/{action.pk}/output/{step}/", query)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def test_the_output_is_followed_from_where_one_is(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"one\n")
    first = piece(as_viewer, action, after=0)
    assert (first["html"], first["end"], first["is_over"]) == ("one\n", 4, False)
    write(action, b"two\n")
    second = piece(as_viewer, action, after=first["end"])
    assert (second["html"], second["start"], second["end"], second["is_over"]) == ("two\n", 4, 8, False)


def test_the_output_ends_with_the_action(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"one\n")
    Action.objects.update(state=State.SUCCEEDED)
    assert piece(as_viewer, action, after=4)["is_over"] is True


def unfinished(text: str) -> str:
    return f"<span data-output-unfinished>{text}</span>"


def test_a_line_that_goes_on_replaces_its_beginning(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"one\nhal")
    first = piece(as_viewer, action, after=0)
    assert (first["html"], first["end"], first["shown"]) == (f"one\n{unfinished('hal')}", 4, 7)
    write(action, b"f\n")
    assert piece(as_viewer, action, after=4)["html"] == "half\n"


def test_what_is_there_is_shown_though_its_line_has_no_end(as_viewer: Client, experiment: Experiment) -> None:
    assert unfinished("BEGUN") in page(as_viewer, running(experiment, b"BEGUN"))


def test_a_character_that_is_not_whole_yet_waits_for_its_rest(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, "é".encode()[:1])
    assert piece(as_viewer, action, after=0)["html"] == ""
    write(action, "é".encode()[1:])
    assert piece(as_viewer, action, after=0)["html"] == unfinished("é")


LONG = [
    b"E\n" + b"x" * 70_000 + b"\n",
    b"x" * 200_000,
    b"a" + "é".encode() * 100_000,
    b"\x1b[31m" * 30_000,
    b"\xbf" * 200_000,
    b"10 %\r" * 30_000,
]


@pytest.mark.parametrize("output", LONG, ids=range(len(LONG)))
def test_going_back_always_comes_to_the_beginning(as_viewer: Client, experiment: Experiment, output: bytes) -> None:
    action = running(experiment, output)
    start = piece(as_viewer, action)["start"]
    while start:
        earlier = piece(as_viewer, action, before=start)
        assert earlier["start"] < start == earlier["end"]
        start = earlier["start"]


@pytest.mark.parametrize("output", LONG, ids=range(len(LONG)))
def test_going_on_always_comes_to_the_end(as_viewer: Client, experiment: Experiment, output: bytes) -> None:
    action = running(experiment, output)
    at = shown = 0
    while shown < len(output):
        later = piece(as_viewer, action, after=at)
        assert later["start"] == at < later["shown"]
        at, shown = later["end"], later["shown"]


def test_a_long_line_is_shown_in_parts_that_begin_with_something(as_viewer: Client, experiment: Experiment) -> None:
    newest = piece(as_viewer, running(experiment, LONG[0]))
    assert newest["html"] == "x" * (newest["end"] - newest["start"] - 1) + "\n"
    assert newest["start"] == len(LONG[0]) - 65_536


def test_a_part_never_begins_within_a_character(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, LONG[2])
    newest = piece(as_viewer, action)
    assert set(newest["html"]) == {"é"}
    earlier = piece(as_viewer, action, before=newest["start"])
    assert set(earlier["html"]) == {"é"}


def test_a_progress_bar_of_any_length_is_shown_as_it_stands(as_viewer: Client, experiment: Experiment) -> None:
    bar = b"".join(b"\rloaded %05d" % number for number in range(10_000))
    newest = piece(as_viewer, running(experiment, b"begin\n" + bar))
    assert newest["html"].endswith(unfinished("loaded 09999"))
    assert newest["shown"] - newest["end"] == len("loaded 09999")


def test_the_output_is_shown_as_text(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"\x1b[31m<script>alert(1)</script>\x1b]0;title\x07\x1b[0m\n")
    html = piece(as_viewer, action, after=0)["html"]
    assert html == '<span class="ansi-31">&lt;script&gt;alert(1)&lt;/script&gt;</span>\n'
    assert html in page(as_viewer, action)


def test_earlier_output_is_read_backwards(as_viewer: Client, experiment: Experiment) -> None:
    lines = b"".join(b"line %06d\n" % number for number in range(20_000))
    action = running(experiment, lines)
    newest = piece(as_viewer, action)
    assert newest["end"] == len(lines) > newest["start"] > 0
    earlier = piece(as_viewer, action, before=newest["start"])
    assert earlier["end"] == newest["start"]
    assert earlier["html"] + newest["html"] == lines[earlier["start"] :].decode()


def test_who_is_far_behind_goes_on_at_the_end(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"x" * 99 + b"\n")
    write(action, (b"x" * 99 + b"\n") * 20_000)
    assert piece(as_viewer, action, after=0)["is_reset"] is True


def test_the_output_is_downloaded_as_it_is(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"<b>\x1b[31mred\n")
    answer = as_viewer.get(f"/actions/{action.pk}/output/0/?download")
    assert answer.getvalue() == b"<b>\x1b[31mred\n"
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"].startswith("attachment")


def test_a_download_from_a_host_that_is_away_is_refused_before_it_begins(
    as_viewer: Client, experiment: Experiment, hosts_here: InProcessHosts
) -> None:
    action = running(experiment, b"one\n")
    hosts_here.away[str(action.site.hosts.get())] = "It was switched off."
    answer = as_viewer.get(f"/actions/{action.pk}/output/0/?download")
    assert (answer.status_code, answer.content) == (503, b"It was switched off.")


def test_a_page_does_not_wait_long_for_a_host(
    as_viewer: Client, experiment: Experiment, hosts_here: InProcessHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = running(experiment, b"one\n")
    waits: list[float] = []

    def stay_silent(place: Path, host: str, name: str, arguments: Any, seconds: float, **_: Any) -> Any:
        waits.append(seconds)
        raise Unanswered("The gateway has not answered in time.")

    monkeypatch.setattr(hosts_here, "ask", stay_silent)
    assert "has not answered" in page(as_viewer, action)
    assert sum(waits) <= 5


def test_output_is_for_those_who_may_see_actions(client: Client, experiment: Experiment) -> None:
    action = running(experiment, b"secret\n")
    answer = client.get(f"/actions/{action.pk}/output/0/")
    assert answer["Location"].startswith("/login/")


@pytest.mark.parametrize("offset", [10**6, 10**18, 10**30])
def test_an_offset_beyond_the_output_answers_its_end(as_viewer: Client, experiment: Experiment, offset: int) -> None:
    action = running(experiment, b"one\n")
    assert piece(as_viewer, action, after=offset)["html"] == "one\n"
    assert piece(as_viewer, action, before=offset)["html"] == "one\n"


def test_a_step_that_is_not_there_is_not_found(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment)
    assert as_viewer.get(f"/actions/{action.pk}/output/7/").status_code == 404


def test_a_page_shows_the_step_that_runs_and_those_to_come(as_viewer: Client, experiment: Experiment) -> None:
    action = running(experiment, b"recovering\n", kind="restart")
    shown = page(as_viewer, action)
    assert "Step 1 of 2" in shown
    assert shown.index("recovering") < shown.index("Step 2 of 2")
    assert len(commands_in(as_viewer.get(page_of("experiments_action", action.pk)))) == 2


def test_a_dry_run_is_called_one(as_viewer: Client, experiment: Experiment) -> None:
    assert "Restart (dry run)" in page(as_viewer, factories.create_action(experiment, kind="restart", is_dry_run=True))


# --- Cancelling


@pytest.mark.parametrize(
    ("kind", "state", "offered"),
    [
        (RUN, State.QUEUED, "Cancel before it starts"),
        (GENERATE, State.QUEUED, "Cancel before it starts"),
        (GENERATE, State.RUNNING, "Cancel the command"),
        (RESTART, State.RUNNING, "Cancel the command"),  # its first command is a short one
        (RUN, State.RUNNING, ""),
        *((GENERATE, state, "") for state in ENDED),
    ],
)
def test_what_waits_and_what_is_short_can_be_cancelled(
    as_manager: Client, experiment: Experiment, kind: ActionKind, state: State, offered: str
) -> None:
    shown = page(as_manager, factories.create_action(experiment, kind=kind.name, state=state))
    assert ("Cancel before it starts" in shown, "Cancel the command" in shown) == (
        offered == "Cancel before it starts",
        offered == "Cancel the command",
    )


def test_cancelling_is_offered_to_those_who_may_ask(as_viewer: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment)
    assert "Cancel" not in page(as_viewer, action)
    as_viewer.post(f"/actions/{action.pk}/cancel/")
    action.refresh_from_db()
    assert action.state == State.QUEUED


def test_an_action_that_waits_is_cancelled(as_operator: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment)
    answer = as_operator.post(f"/actions/{action.pk}/cancel/")
    assert answer["Location"] == page_of("experiments_action", action.pk)
    action.refresh_from_db()
    assert (action.state, action.message) == (State.CANCELLED, "Cancelled by operator before it started.")


def test_a_command_that_runs_is_asked_to_end(as_operator: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment, kind="update_description", state=State.RUNNING)
    as_operator.post(f"/actions/{action.pk}/cancel/")
    action.refresh_from_db()
    assert (action.state, action.cancelled_by) == (State.RUNNING, "operator")
    assert "operator asked to cancel it" in page(as_operator, action)


def test_a_run_is_not_cancelled_but_stopped(as_operator: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment, state=State.RUNNING)
    answer = as_operator.post(f"/actions/{action.pk}/cancel/", follow=True)
    assert "Stop the experiment instead." in text_of(answer)


def test_cancelling_is_not_asked_for_by_get(as_operator: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment)
    assert as_operator.get(f"/actions/{action.pk}/cancel/").status_code == 405
    action.refresh_from_db()
    assert action.state == State.QUEUED


# --- The same again


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("state", ENDED)
def test_what_has_ended_can_be_asked_for_again(as_manager: Client, job: Job, kind: ActionKind, state: State) -> None:
    given = filled(kind)
    action = factories.create_action(job.experiment, kind=kind.name, state=state, parameters=given)
    form = as_manager.get(again_link(page(as_manager, action))).context["form"]
    assert {name: form.initial[name] for name in given} == given


def test_asking_again_asks_the_same(as_operator: Client, job: Job) -> None:
    given = {"status": "READY", "jobs": ["a000_SIM", "a000_POST"]}
    action = factories.create_action(job.experiment, kind="set_status", state=State.LOST, parameters=given)
    form = as_operator.get(again_link(page(as_operator, action))).context["form"]
    Action.objects.update(state=State.FAILED)
    address = f"/experiments/~{job.experiment.pk}/request/set_status/"
    as_operator.post(address, {"status": form.initial["status"], "jobs": form.initial["jobs"]})
    assert Action.objects.latest("pk").parameters == given
    assert Action.objects.count() == 2


def test_the_form_of_the_same_again_shows_its_command_at_once(as_operator: Client, job: Job) -> None:
    given = {"status": "READY", "jobs": ["a000_SIM"]}
    action = factories.create_action(job.experiment, kind="set_status", state=State.LOST, parameters=given)
    shown = commands_in(as_operator.get(again_link(page(as_operator, action))))
    assert [command.split()[1:] for command in shown] == [
        ["setstatus", "--save", "--noplot", "a000", "--status_final=READY", "--list=a000_SIM"]
    ]


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_what_is_active_is_not_asked_for_again(as_operator: Client, experiment: Experiment, state: State) -> None:
    assert "Request again" not in page(as_operator, factories.create_action(experiment, state=state))


def test_a_dry_run_is_not_asked_for_in_earnest(as_operator: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment, kind="restart", state=State.SUCCEEDED, is_dry_run=True)
    assert "Request again" not in page(as_operator, action)


def test_the_same_again_is_offered_to_those_who_may_ask(as_viewer: Client, experiment: Experiment) -> None:
    assert "Request again" not in page(as_viewer, factories.create_action(experiment, state=State.LOST))


@pytest.mark.parametrize("like", ["nonsense", "999999999999999999999999", "²", "-1", ""])
def test_the_same_as_nothing_is_an_empty_form(as_operator: Client, job: Job, like: str) -> None:
    answer = as_operator.get(form_of(SET_STATUS, job), {"like": like})
    assert (answer.status_code, answer.context["form"].initial) == (200, {})


# --- With force


@pytest.mark.parametrize("kind", [STOP, RESTART], ids=lambda kind: kind.name)
def test_what_failed_can_be_forced(as_operator: Client, experiment: Experiment, kind: ActionKind) -> None:
    Experiment.objects.update(is_running=kind is STOP)
    action = factories.create_action(experiment, kind=kind.name, state=State.FAILED)
    shown = page(as_operator, action)
    address = f"/experiments/{experiment.expid}/request/{kind.name}/?like={action.pk}&amp;force=on"
    assert f'href="{address}">{kind.title} with force…' in shown
    form = as_operator.get(address.replace("&amp;", "&"))
    assert "--force" in commands_in(form)[0]
    assert "checked" in text_of(form)


@pytest.mark.parametrize(
    ("kind", "state", "parameters"),
    [
        (STOP, State.SUCCEEDED, {}),
        (STOP, State.CANCELLED, {}),
        (STOP, State.FAILED, {"force": True}),
        (RUN, State.FAILED, {}),
    ],
)
def test_force_is_offered_only_where_it_may_help(
    as_operator: Client, experiment: Experiment, kind: ActionKind, state: State, parameters: dict[str, Any]
) -> None:
    action = factories.create_action(experiment, kind=kind.name, state=state, parameters=parameters)
    assert "with force…" not in page(as_operator, action)
