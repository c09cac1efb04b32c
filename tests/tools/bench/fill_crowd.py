"""Fills a portal for the part `load`: what `changes` has, and a session of its own for each tab."""

import json

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore

from autosubmit_portal.access.roles import Role
from tests.support.factories import create_token
from tests.tools.bench.fill_changes import fill_experiments


def fill(experiments: int, accounts: int, tabs: int) -> None:
    """Make the rows and print the expids, the tokens and the keys of the sessions as JSON."""
    expids, users = fill_experiments(experiments), [_account(number) for number in range(accounts)]
    tokens = [create_token(user, name="bench") for user in users]
    sessions = [_session(users[number % accounts]) for number in range(tabs)]
    print(json.dumps({"expids": expids, "tokens": tokens, "sessions": sessions}))


def _account(number: int) -> User:
    user = User.objects.create_user(f"client-{number}")
    user.groups.add(Group.objects.get(name=Role.MANAGER.title))
    return user


def _session(user: User) -> str:
    """Sign an account in and return the key of the session."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
