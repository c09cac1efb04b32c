"""What a preview foretells against what the real Autosubmit then does."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.management.demo import Autosubmit, AutosubmitFailed, set_value
from experiments import commands
from experiments.actions.action_request import ActionRequest, find_dry_run
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.preview import preview_action
from experiments.catalogue.kinds import CATALOGUE, ActionKind
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State
from tests.conftest import MakeExperiment
from tests.support.services import ForkedAutosubmit

pytestmark = pytest.mark.django_db
RESTART, SET_STATUS = CATALOGUE["restart"], CATALOGUE["set_status"]
Statuses = dict[str, str]


@pytest.fixture(scope="module")
def cli(autosubmit: Path, autosubmit_home: Path) -> Autosubmit:
    """Autosubmit, as somebody with a terminal uses it."""
    return ForkedAutosubmit(autosubmit, autosubmit_home)


@pytest.fixture(scope="module")
def generated(make_experiment: MakeExperiment, cli: Autosubmit) -> tuple[str, Path, bytes]:
    """An experiment with members and chunks, with its new job list."""
    return with_job_list(make_experiment("small", members=2, chunks=3), cli)


@pytest.fixture
def chunked(site: Site, generated: tuple[str, Path, bytes]) -> Experiment:
    """Nothing of it has run."""
    expid, job_list, content = generated
    job_list.write_bytes(content)
    return adopted(site, expid)


@pytest.fixture(scope="module")
def after_a_run(make_experiment: MakeExperiment, cli: Autosubmit) -> tuple[str, Path, bytes]:
    """An experiment that has run and partly failed, with its job list after that."""
    expid = make_experiment("failing")
    with suppress(AutosubmitFailed):
        cli.call("run", expid)
    return with_job_list(expid, cli)


@pytest.fixture
def failed(site: Site, after_a_run: tuple[str, Path, bytes]) -> Experiment:
    """BAD has failed, AFTER waits for it, SETUP and SIDE are done."""
    expid, job_list, content = after_a_run
    job_list.write_bytes(content)
    return adopted(site, expid)


@pytest.fixture
def asked(operator: User) -> Callable[..., ActionRequest]:
    """Make requests of an operator."""

    def ask(experiment: Experiment, kind: ActionKind, **parameters: Any) -> ActionRequest:
        origin = Origin(door=Door.API, actor_name=operator.username, actor_id=operator.pk)
        return ActionRequest(
            actor=operator, origin=origin, kind=kind, site=experiment.site, experiment=experiment, parameters=parameters
        )

    return ask


def with_job_list(expid: str, cli: Autosubmit) -> tuple[str, Path, bytes]:
    job_list = cli.home / "autosubmit" / expid / "pkl" / f"job_list_{expid}.pkl"
    return expid, job_list, job_list.read_bytes()


def adopted(site: Site, expid: str) -> Experiment:
    experiment = sync.adopt(site, expid)
    assert experiment is not None
    return experiment


def statuses(experiment: Experiment) -> Statuses:
    """The statuses in the job list, read anew."""
    sync.refresh(experiment)
    return dict(experiment.jobs.values_list("name", "status"))


def foretold(request: ActionRequest) -> Statuses:
    effect = preview_action(request).effect
    assert effect is not None
    return {change.job: change.new for change in effect.changes}


def done(request: ActionRequest) -> Action:
    action = request_action(request)
    execute(action.pk)
    action.refresh_from_db()
    assert action.state == State.SUCCEEDED, action.message
    return action


def differences(before: Statuses, after: Statuses) -> Statuses:
    return {name: status for name, status in after.items() if before[name] != status}


@pytest.mark.parametrize(
    "choice",
    [
        {"status": "SUSPENDED", "jobs": ["SETUP", "20000101_fc1_2_SIM"]},
        {"status": "READY", "filter_status": ["WAITING"]},
        {"status": "COMPLETED", "filter_section": ["INI", "sim"]},
        {"status": "WAITING", "filter_section": ["Any"]},
        {"status": "COMPLETED", "filter_chunks": "[ 20000101 [ fc0 [1-2] fc1 [Any] ] ]"},
        {"status": "SUSPENDED", "filter_chunks": "[ Any [ FC1 [2 9] ] ]"},
    ],
    ids=str,
)
def test_a_set_status_changes_what_was_foretold_by_the_portal_and_by_autosubmit(
    chunked: Experiment, asked: Callable[..., ActionRequest], choice: dict[str, Any]
) -> None:
    if "jobs" in choice:
        choice = choice | {"jobs": [f"{chunked.expid}_{name}" for name in choice["jobs"]]}
    before, told = statuses(chunked), foretold(asked(chunked, SET_STATUS, **choice))
    dry = done(asked(chunked, find_dry_run(SET_STATUS), **choice))
    assert statuses(chunked) == before
    done(asked(chunked, SET_STATUS, **choice))
    assert differences(before, statuses(chunked)) == told == dict(dry.job_changes)
    assert told
    assert dry.message.startswith("Dry run, nothing was saved. It would change: ")


SECTION = """
  {name}:
    SCRIPT: "true"
    PLATFORM: LOCAL
    RUNNING: {running}
    WALLCLOCK: '00:05'
    {more}
"""
EDGES = {
    "hours": (
        {
            "DATELIST": "'2000010100 2000010112'",
            "MEMBERS": "'fc-0 fc+1'",
            "NUMCHUNKS": "'2'",
            "CHUNKSIZE": "'6'",
            "CHUNKSIZEUNIT": "hour",
        },
        [
            ("SIM", "chunk", ""),
            ("POST.A", "chunk", "SPLITS: 2"),
            ("ONE", "member", "SPLITS: 1"),
            ("UP/LOAD", "once", ""),
        ],
    ),
    "months": (
        {"DATELIST": "'19900101'", "MEMBERS": "'fc0'", "NUMCHUNKS": "'3'", "CHUNKSIZE": "'1'"},
        [("SIM", "chunk", ""), ("TRANSFER", "chunk", "SPLITS: auto\n    SPLITSIZE: 28")],
    ),
}


@pytest.fixture(scope="module")
def of_edges(make_experiment: MakeExperiment, cli: Autosubmit) -> dict[str, tuple[str, Path, bytes]]:
    """Workflows with splits, hours, hyphens, a dot, a plus and a slash, with their new job lists."""
    made = {}
    for name, (settings, sections) in EDGES.items():
        expid = make_experiment("waiting")
        conf = cli.home / "autosubmit" / expid / "conf"
        texts = (SECTION.format(name=section, running=running, more=more) for section, running, more in sections)
        (conf / f"jobs_{expid}.yml").write_text("JOBS:" + "".join(texts))
        for key, value in settings.items():
            set_value(conf / f"expdef_{expid}.yml", key, value)
        cli.call("create", "--noplot", expid)
        made[name] = with_job_list(expid, cli)
    return made


@pytest.mark.parametrize(
    "case",
    [
        ("months", {"filter_section": ["TRANSFER"]}, 5),
        ("months", {"filter_section": ["SIM"]}, 3),
        ("months", {"filter_chunks": "[ 19900101 [ fc0 [2-3] ] ]"}, 5),
        ("hours", {"filter_section": ["POST.A", "ONE", "UP/LOAD"]}, 21),
        ("hours", {"filter_chunks": "[ 2000010112 [ fc-0 [1] fc+1 [Any] ] ]"}, 9),
        ("hours", {"filter_status": ["WAITING", "READY"]}, 29),
    ],
    ids=str,
)
def test_what_a_filter_means_changes_whatever_autosubmits_own_filters_would_choose(
    site: Site,
    of_edges: dict[str, tuple[str, Path, bytes]],
    asked: Callable[..., ActionRequest],
    case: tuple[str, dict[str, Any], int],
) -> None:
    workflow, choice, number = case
    expid, job_list, content = of_edges[workflow]
    job_list.write_bytes(content)
    experiment = adopted(site, expid)
    request = asked(experiment, SET_STATUS, status="SUSPENDED", **choice)
    before, told = statuses(experiment), foretold(request)
    dry = done(asked(experiment, find_dry_run(SET_STATUS), status="SUSPENDED", **choice))
    done(request)
    assert differences(before, statuses(experiment)) == told == dict(dry.job_changes)
    assert list(told.values()).count("SUSPENDED") == number


def test_a_set_status_by_status_changes_what_was_foretold_after_a_run(
    failed: Experiment, asked: Callable[..., ActionRequest]
) -> None:
    request = asked(failed, SET_STATUS, status="WAITING", filter_status=["FAILED"])
    before, told = statuses(failed), foretold(request)
    done(request)
    assert differences(before, statuses(failed)) == told == {f"{failed.expid}_BAD": "WAITING"}


def test_a_recovery_after_failures_changes_what_was_foretold(
    failed: Experiment, asked: Callable[..., ActionRequest], cli: Autosubmit
) -> None:
    before, told = statuses(failed), foretold(asked(failed, RESTART))
    dry = done(asked(failed, find_dry_run(RESTART)))
    assert statuses(failed) == before
    cli.call(*RESTART.steps[0].make_argvs(failed.expid, {})[0])
    assert differences(before, statuses(failed)) == told == dict(dry.job_changes)
    assert told == {f"{failed.expid}_BAD": "READY"}


def test_autosubmits_dry_run_of_a_restart_knows_of_completion_files(
    failed: Experiment, asked: Callable[..., ActionRequest], cli: Autosubmit
) -> None:
    done(asked(failed, SET_STATUS, status="WAITING", filter_section=["SIDE"]))
    before = statuses(failed)
    dry = done(asked(failed, find_dry_run(RESTART)))
    cli.call(*RESTART.steps[0].make_argvs(failed.expid, {})[0])
    assert differences(before, statuses(failed)) == dict(dry.job_changes)
    assert dict(dry.job_changes)[f"{failed.expid}_SIDE"] == "COMPLETED"


def test_autosubmits_dry_run_can_be_read_and_is_in_the_trail(
    failed: Experiment, asked: Callable[..., ActionRequest]
) -> None:
    dry = done(asked(failed, find_dry_run(RESTART)))
    assert dry.command == [[failed.site.autosubmit, "recovery", "--all", "--noplot", failed.expid]]
    assert "NOT saved" in commands.read_text(commands.find_step(dry, 0))
