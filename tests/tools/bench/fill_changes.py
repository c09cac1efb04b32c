"""Fills a portal for the part `changes`: experiments that nobody mirrors, and an account for each client."""

import json

from django.contrib.auth.models import Group, User
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from experiments.models import Experiment, Site
from tests.support.factories import create_token

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def fill(experiments: int, clients: int) -> None:
    """Make the rows and print the expids and the tokens as JSON."""
    print(json.dumps({"expids": fill_experiments(experiments), "tokens": [_token(n) for n in range(clients)]}))


def fill_experiments(count: int) -> list[str]:
    """Make experiments and return their expids."""
    site = Site.objects.get()
    now = timezone.now()
    expids = [f"b{DIGITS[n // 1296]}{DIGITS[n // 36 % 36]}{DIGITS[n % 36]}" for n in range(count)]
    Experiment.objects.bulk_create(
        Experiment(
            site=site,
            expid=expid,
            autosubmit_id=number,
            description=f"Control run {number}",
            owner="operator",
            hpc="LOCAL",
            version="4.1.17",
            created_at=now,
            changed_at=now,
            refreshed_at=now,
            status_counts={"WAITING": 100},
            total_jobs=100,
        )
        for number, expid in enumerate(expids, 1)
    )
    return expids


def _token(number: int) -> str:
    user = User.objects.create_user(f"client-{number}")
    user.groups.add(Group.objects.get(name=Role.MANAGER.title))
    return create_token(user, name="bench")
