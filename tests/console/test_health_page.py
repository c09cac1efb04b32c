"""The page that says whether the portal works, and the first page."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autosubmit_portal.console.parts.presentation import mark_code
from autosubmit_portal.workers.models import Worker
from experiments.models import Site
from tests.support import factories


@pytest.fixture(autouse=True)
def site(db: None) -> Site:
    """A site that is well, with a worker."""
    factories.create_worker()
    return factories.create_site(autosubmit="/bin/true", mirrored_at=timezone.now(), is_default=True)


def text(client: Client, path: str = "/health/") -> str:
    return client.get(path).content.decode()


def test_whoever_may_look_is_led_to_it_and_told_that_everything_works(as_viewer: Client) -> None:
    assert 'href="/health/"' in text(as_viewer, "/admin/")
    assert "Everything works." in text(as_viewer)


def test_who_may_not_see_sites_is_not_let_in(signed_in: Callable[[User], Client], actor: Callable[[], User]) -> None:
    assert signed_in(actor()).get("/health/").status_code in (302, 403)


def test_nobody_is_sent_to_the_sign_in(client: Client) -> None:
    assert client.get("/health/")["Location"] == "/login/?next=/health/"


def test_what_fails_comes_first_with_its_remedy(as_viewer: Client) -> None:
    Worker.objects.all().delete()
    shown = text(as_viewer)
    assert "<b>1 failure.</b>" in shown
    assert "Start one: <code>manage.py qcluster</code>." in shown
    assert shown.index("No worker serves") < shown.index("Tables")


def test_a_warning_is_counted_apart(as_viewer: Client) -> None:
    factories.create_worker(queue="protal")
    assert "<b>1 warning.</b> Everything works." in text(as_viewer)


def test_now_says_which_queue_nobody_serves(as_viewer: Client) -> None:
    Worker.objects.all().delete()
    assert "No worker serves the queue “portal”" in text(as_viewer, "/")


def test_now_says_nothing_when_nothing_fails(as_viewer: Client) -> None:
    assert 'role="alert"' not in text(as_viewer, "/")


def test_now_says_that_the_broker_is_dead(as_viewer: Client, at_dead_redis: None) -> None:
    assert "The broker does not answer" in text(as_viewer, "/")


def test_what_comes_from_elsewhere_is_escaped() -> None:
    assert mark_code("<b> `<i>`") == "&lt;b&gt; <code>&lt;i&gt;</code>"
