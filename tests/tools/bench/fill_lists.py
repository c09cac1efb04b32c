"""Fills a portal for the part `lists`: a million jobs, which the database makes itself, and somebody who looks."""

import json
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import connection

from experiments.models import Experiment
from jobs.models import Job
from tests.tools.bench.fill_changes import fill_experiments

SAID = {
    "name": "expid || '_' || n || '_SIM'",
    "section": "'SIM'",
    "status": "CASE n % 1000 WHEN 7 THEN 'FAILED' ELSE 'COMPLETED' END",
}
NUMBERS = {
    "postgresql": "SELECT generate_series(1, {jobs}) AS n",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {jobs}) SELECT n FROM s",
}


def fill(experiments: int, jobs: int) -> None:
    """Make experiments with so many jobs each; print the key and the expid of one, and the session of a manager."""
    fill_experiments(experiments)
    columns = [field for field in Job._meta.concrete_fields if field.name != "id"]
    values = ", ".join(
        SAID.get(field.name, "e.id" if field.name == "experiment" else _blank(field)) for field in columns
    )
    names = ", ".join(f'"{field.column}"' for field in columns)
    numbers = NUMBERS[connection.vendor].format(jobs=jobs)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO jobs_job ({names}) SELECT {values} FROM experiments_experiment e, ({numbers}) s")
        cursor.execute("ANALYZE")
    one = Experiment.objects.order_by("expid")[experiments // 2]
    print(json.dumps({"pk": one.pk, "expid": one.expid, "session": _session()}))


def _blank(field: Any) -> str:
    if field.null:
        return "NULL"
    return "0" if "Integer" in field.get_internal_type() else "''"


def _session() -> str:
    """Sign the first account in, who may do everything, and return the key of the session."""
    user = User.objects.filter(is_superuser=True).order_by("pk")[0]
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)
