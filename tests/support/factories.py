"""Rows for tests: each function makes one, with sensible values for all that a test does not name."""

import secrets
import sys
import uuid
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken, Coverage, Delegation, Invitation, Membership, Team, compute_digest
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import get_uid
from autosubmit_portal.workers.heartbeat import make_seal
from autosubmit_portal.workers.models import Worker
from experiments.autosubmit.store import Store, locate
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, Freeze, Note, Run, Site
from jobs.models import Job, JobDependency
from tests.support.kinds import commands_of

# Where there is nothing on any host: a test without an Autosubmit must not find that of its host.
PROGRAM, HOME = "/nonexistent/bin/autosubmit", "/nonexistent/home"

_numbers = count(1)


def create_site(**values: Any) -> Site:
    """Create a site whose Autosubmit is not there: for tests that run none."""
    number = next(_numbers)
    defaults = {"slug": f"site-{number}", "name": f"Site {number}", "autosubmit": PROGRAM, "home": HOME}
    return Site.objects.create(**defaults | values)


def create_store_site(store: Store, **values: Any) -> Site:
    """Create a site that serves a store. Its program is asked for nothing but a version, which Python has too."""
    return create_site(autosubmit=sys.executable, home=str(store.root.parent), **values)


def locate_store(site: Site) -> Store:
    """Return the store that a site serves."""
    return locate(site.home_folder, site.configuration_file)


def create_experiment(site: Site | None = None, **values: Any) -> Experiment:
    """Create an experiment at `site`, or at a site of its own. Its folder is of the owner that is recorded."""
    defaults: dict[str, Any] = {"expid": f"a{next(_numbers):03d}", "description": "Made by a factory"}
    owner = values.get("owner", "")
    defaults |= {"recorded_owner": owner, "owner_uid": get_uid(owner)}
    return Experiment.objects.create(site=site or create_site(), **defaults | values)


def create_run(experiment: Experiment, **values: Any) -> Run:
    """Create a run of the experiment."""
    return Run.objects.create(experiment=experiment, **{"run_id": next(_numbers)} | values)


def create_job(experiment: Experiment, name: str = "", **values: Any) -> Job:
    """Create a WAITING job and keep the counts of its experiment true."""
    number = next(_numbers)
    defaults = {"name": name or f"{experiment.expid}_{number}_SIM", "section": "SIM", "status": "WAITING"}
    job = Job.objects.create(experiment=experiment, **defaults | values)
    experiment.status_counts[job.status] = experiment.status_counts.get(job.status, 0) + 1
    experiment.total_jobs += 1
    experiment.save(update_fields=["status_counts", "total_jobs"])
    return job


def create_dependency(parent: Job, child: Job) -> JobDependency:
    """Let `child` wait for `parent`."""
    return JobDependency.objects.create(parent=parent, child=child)


def create_action(experiment: Experiment, **values: Any) -> Action:
    """Create an action on the experiment; by default a queued run that an administrator asked for through the API."""
    kind = CATALOGUE[values.get("kind", "run")]
    command = [[PROGRAM, *words] for words in commands_of(kind, experiment.expid, {})]
    defaults = {
        "kind": kind.name,
        "expid": experiment.expid,
        "command": command,
        "actor": values.get("actor") or create_administrator(),
        "actor_name": "somebody",
        "door": "api",
        "may_overtake": kind.may_overtake,
    }
    return Action.objects.create(site=experiment.site, experiment=experiment, **defaults | values)


def create_administrator() -> User:
    """Return the administrator called somebody, made if there is none."""
    return User.objects.get_or_create(username="somebody", defaults={"is_superuser": True})[0]


def create_freeze(site: Site, **values: Any) -> Freeze:
    """Freeze the site from now on, without an end."""
    return Freeze.objects.create(site=site, **{"message": "Maintenance", "made_by_name": "somebody"} | values)


def create_note(experiment: Experiment, **values: Any) -> Note:
    """Write a note on the experiment, without an end."""
    return Note.objects.create(experiment=experiment, **{"text": "Look *here*", "author_name": "somebody"} | values)


def create_delegation(grantor: User, grantee: User, **values: Any) -> Delegation:
    """Lend what an operator may to another account, since yesterday until tomorrow."""
    day, now = timedelta(days=1), timezone.now()
    defaults = {"role": Role.OPERATOR, "starts_at": now - day, "ends_at": now + day, "reason": "Holidays"}
    return Delegation.objects.create(grantor=grantor, grantee=grantee, **defaults | values)


def create_user(*roles: Role, **values: Any) -> User:
    """Create an account in the groups of `roles`."""
    defaults = {"username": f"user-{next(_numbers)}"}
    user = User.objects.create_user(**defaults | values)
    user.groups.add(*Group.objects.filter(name__in=[role.title for role in roles]))
    return user


def create_team(*members: tuple[User, Role], covers: Mapping[str, Any] | None = None, **values: Any) -> Team:
    """Create a team of `members`, who have a role each, that covers what meets all conditions of `covers`."""
    number = next(_numbers)
    team = Team.objects.create(**{"slug": f"team-{number}", "name": f"Team {number}"} | values)
    for user, role in members:
        Membership.objects.create(team=team, user=user, role=role)
    if covers is not None:
        Coverage.objects.create(team=team, **covers)
    return team


def create_invitation(team: Team, inviter: User, **values: Any) -> str:
    """Invite somebody into the team as operator, as long as that is possible; return the secret of the link."""
    secret = secrets.token_urlsafe(32)
    defaults = {"role": Role.OPERATOR, "whom": "somebody@example.org"}
    defaults |= {"digest": compute_digest(secret), "open_until": timezone.now() + Invitation.OPEN_FOR}
    Invitation.objects.create(team=team, inviter=inviter, **defaults | values)
    return secret


def create_token(user: User, **values: Any) -> str:
    """Create an API token of the user and return it."""
    values["expiry"] = timezone.now() + values.get("expiry", settings.TOKEN_DEFAULT)
    token, text = ApiToken.generate(user, **{"name": "tests"} | values)
    token.save()
    return text


def create_worker(**values: Any) -> Worker:
    """Create the row of a worker that lives, by default on the default queue and with room on its disk."""
    now = timezone.now()
    defaults = {
        "cluster_id": uuid.uuid4(),
        "queue": "portal",
        "host": "worker.example.org",
        "pid": next(_numbers),
        "processes": 4,
        "seal": make_seal(),
        "free_bytes": 100 * 1024**3,
        "started_at": now,
        "seen_at": now,
    }
    return Worker.objects.create(**defaults | values)


def create_failed_sign_in(**values: Any) -> AccessAttempt:
    """Create the row of a sign-in that failed just now."""
    defaults = {"username": f"user-{next(_numbers)}", "ip_address": "192.0.2.1", "failures_since_start": 1}
    return AccessAttempt.objects.create(**defaults | values)


def drop_index_of_names() -> None:
    """Take away what finds jobs by a part of their name, or what keeps it."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER jobs_names_added")
        else:
            cursor.execute("DROP INDEX jobs_name_trigrams")
