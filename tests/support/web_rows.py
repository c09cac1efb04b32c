"""The rows and the files of a server of tests/support/web.py; they are made in its own process."""

import json
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from experiments.models import Experiment, State
from tests.support import factories
from tests.support.steps import create_step
from tests.support.stores.written import write_store
from tests.support.web import LOG, PASSWORD, TEAM_ELSEWHERE

ROLES = {"viewer": Role.VIEWER, "operator": Role.OPERATOR, "manager": Role.MANAGER}


def fill(text: str, store: str) -> str:
    """Make the rows and the files in the process of a server, and return the token of its superuser as JSON."""
    folder = write_store(Path(store), "a000")
    (folder / "tmp" / "ASLOGS" / LOG).write_text(f"{text}\n")
    (folder / "tmp" / "LOG_a000" / "a000_SIM.1.out").write_text(f"{text}\n")
    site = factories.create_site(slug="local", name=text[:50], problem="", is_default=True, home=store)
    texts: dict[str, Any] = dict.fromkeys(("description", "owner", "hpc", "model", "branch"), text)
    experiment = factories.create_experiment(site, expid="a000", **texts)
    _fill_jobs(experiment, text)
    _fill_actions(experiment, text)
    admin = User.objects.create_superuser("admin", password=PASSWORD)
    made = {name: factories.create_user(role, username=name, password=PASSWORD) for name, role in ROLES.items()}
    factories.create_delegation(made["manager"], made["viewer"], role=Role.VIEWER)
    factories.create_freeze(site, platform="ELSEWHERE")
    factories.create_team(covers={"expid_pattern": "z*"}, slug=TEAM_ELSEWHERE)
    return json.dumps({"admin": factories.create_token(admin, name=text[:100])})


def _fill_jobs(experiment: Experiment, text: str) -> None:
    values = {"status": "FAILED", "member": text, "platform": text, "out_log": "a000_SIM.1.out"}
    ini = factories.create_job(experiment, "a000_INI", section="INI", status="COMPLETED")
    sim = factories.create_job(experiment, "a000_SIM", section=text, **values)
    odd = factories.create_job(experiment, f"a000_{text}", section="POST")
    factories.create_dependency(ini, sim)
    factories.create_dependency(sim, odd)
    factories.create_run(experiment, run_id=1)


def _fill_actions(experiment: Experiment, text: str) -> None:
    action = factories.create_action(
        experiment,
        actor_name=text,
        reason=text,
        message=text,
        state=State.FAILED,
        command=[["autosubmit", text]],
        parameters={"description": text},
        job_changes=[[text, "READY"]],
    )
    create_step(action, printed=f"{text}\n")
    origin = Origin(door=Door.API, actor_name=text)
    trail.record("action.failed", origin=origin, subject=text, expid="a000", message=text, details={text: text})
