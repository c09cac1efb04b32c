"""System checks of Django for settings that are legal alone, but harmful together."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.db import DatabaseError
from django_q.conf import Conf

from autosubmit_portal import privacy
from autosubmit_portal.access.sign_in.providers import IdentityProvider
from experiments import failure_reasons
from jobs import trigrams

# Processes that serve no pages ask these checks only: those of Django load all pages, 23 MB.
TAG = "portal"
SECOND_FACTOR = ("none", "managers", "everyone")
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.01, 10.0


@register(TAG)
def check_queue(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check the settings of the queue."""
    return [*_check_timing(settings.Q_CLUSTER), *_check_name(Conf.CLUSTER_NAME), *_check_broker(settings.Q_CLUSTER)]


@register(TAG)
def check_sign_in(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check the settings of the sign-in."""
    found: list[CheckMessage] = [message for provider in settings.PROVIDERS for message in _check_provider(provider)]
    for name in settings.PROVIDERS_HALF_SET:
        hint = f"Set {name}, or nothing that begins with {'_'.join(name.split('_')[:2])}_."
        text = f"{name} is missing, without which the rest of this identity provider means nothing."
        found.append(Error(text, hint=hint, id="portal.E008"))
    if not settings.PASSWORD_LOGIN and not settings.PROVIDERS:
        hint = "Set one up, or leave PORTAL_PASSWORD_LOGIN out."
        found.append(Error("Nobody can sign in: there is no identity provider.", hint=hint, id="portal.E005"))
    if settings.AXES_FAILURE_LIMIT < 1 or settings.AXES_COOLOFF_TIME.total_seconds() < 60:
        hint = "Choose at least 1 for PORTAL_SIGN_IN_ATTEMPTS and for PORTAL_LOCKOUT_MINUTES."
        found.append(
            Error("The lockout after wrong passwords cannot work with these settings.", hint=hint, id="portal.E007")
        )
    if settings.REQUIRE_SECOND_FACTOR not in SECOND_FACTOR:
        hint = f"Choose one of {', '.join(SECOND_FACTOR)}."
        text = f"PORTAL_REQUIRE_SECOND_FACTOR is “{settings.REQUIRE_SECOND_FACTOR}”."
        found.append(Error(text, hint=hint, id="portal.E006"))
    return found


@register(TAG)
def check_privacy(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check that no other account of this host reads what the portal keeps."""
    found = privacy.find_open_files(settings.PRIVATE_FILES)
    return [Warning(privacy.describe_open_files(found), hint=privacy.REMEDY, id="portal.W003")] if found else []


@register(TAG)
def check_search(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check that there is an index for parts of job names, where the database answers and has the table."""
    try:
        is_slow = trigrams.is_missing()
    except DatabaseError:
        return []  # `manage.py doctor` and /healthz say that
    text = "Every search for names of jobs reads all jobs: the index for it is missing."
    return [Warning(text, hint=trigrams.get_remedy(), id="portal.W004")] if is_slow else []


@register(TAG)
def check_failure_reasons(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check what an institution adds to the reasons why jobs fail."""
    try:
        failure_reasons.load(settings.FAILURE_REASONS)
    except failure_reasons.BadCatalogue as error:
        text = f"PORTAL_FAILURE_REASONS, {settings.FAILURE_REASONS}: {error}"
        return [Error(text, hint="Correct the file (docs/failure-reasons.md).", id="portal.E009")]
    return []


@register(TAG, deploy=True)
def check_walls(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check that there is a gateway that is not our own, which has no walls."""
    if settings.GATEWAY_DIRECTORY != settings.OWN_GATEWAY_DIRECTORY:
        return []
    text = "There are no walls: what an experiment brings along runs as the account of the portal's workers."
    hint = "Give gateway and agents accounts of their own, and set PORTAL_GATEWAY (docs/operations.md)."
    return [Warning(text, hint=hint, id="portal.W005")]


def _check_provider(provider: IdentityProvider) -> Iterator[CheckMessage]:
    """Check that a provider has all that it needs, and an address that nobody else can answer at."""
    for name in provider.find_missing():
        hint = f"Set {name}, or nothing that begins with {provider.prefix}_."
        yield Error(f"{name} is missing, without which nobody can sign in there.", hint=hint, id="portal.E004")
    address = urlsplit(provider.address)
    if address.scheme == "http" and address.hostname not in ("localhost", "127.0.0.1", "::1"):
        hint = f"Give it an address that begins with https://, in the settings {provider.prefix}_…"
        text = f"Without HTTPS, others on the network can pretend to be {provider.address}."
        yield Warning(text, hint=hint, id="portal.W002")


def _check_timing(cluster: dict[str, Any]) -> Sequence[CheckMessage]:
    if cluster["retry"] <= cluster["timeout"]:
        hint = "Give Q_CLUSTER a `retry` that is longer than its `timeout`."
        return [Error("A task would be sent again while it still runs.", hint=hint, id="portal.E001")]
    if not SHORTEST_POLL_SECONDS <= cluster["poll"] <= LONGEST_POLL_SECONDS:
        hint = f"Choose {SHORTEST_POLL_SECONDS} to {LONGEST_POLL_SECONDS:g} seconds; 0.05 is the default."
        return [Error("PORTAL_POLL_SECONDS keeps workers busy or actions waiting.", hint=hint, id="portal.E002")]
    return []


def _check_name(queue: str) -> Sequence[CheckMessage]:
    if re.fullmatch(r"[-a-zA-Z0-9_]+", queue):
        return []
    hint = "Letters, digits, - and _, as the queue of a site in the console."
    return [Error(f"Q_CLUSTER_NAME “{queue}” is the queue of no site.", hint=hint, id="portal.E003")]


def _check_broker(cluster: dict[str, Any]) -> Sequence[CheckMessage]:
    if "redis" in cluster and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        hint = "Set PORTAL_DATABASE_URL to a PostgreSQL, or leave PORTAL_BROKER_URL out."
        text = "Redis serves workers on several hosts, which cannot share the SQLite database."
        return [Warning(text, hint=hint, id="portal.W001")]
    return []
