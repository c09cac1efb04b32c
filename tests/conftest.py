"""Fixtures on real parts: the real Autosubmit, real databases, real processes, a real browser.

Whatever uses one of them gets the marker of its kind, so that plain `pytest` runs the fast tests only.
"""

import gc
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.backends.postgresql.creation import DatabaseCreation
from django.test import TransactionTestCase
from django.test.utils import CaptureQueriesContext
from django_q.brokers import get_broker
from django_q.conf import Conf
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in import last_use
from autosubmit_portal.access.unix import get_name
from autosubmit_portal.audit import triggers
from autosubmit_portal.privacy import PRIVATE_UMASK
from experiments.autosubmit import liveness
from experiments.models import Site
from tests.support import factories, identity_provider
from tests.support import ldap_server as ldap
from tests.support import redis_server as redis
from tests.support.caches import forget_answers, forget_keys, forget_stamps
from tests.support.cas_server import CASServer, cas_server
from tests.support.github_server import GitHubServer, github_server
from tests.support.identity_provider import Provider
from tests.support.in_process_host import AtOnce, InProcessHosts
from tests.support.ldap_server import LdapServer
from tests.support.lock_holders import LocksIn
from tests.support.postgres import Postgres, server
from tests.support.quick_autosubmit import quick
from tests.support.redis_server import RedisServer
from tests.support.services import (
    Credentials,
    ForkedAutosubmit,
    Portal,
    collected_static_files,
    kill_processes_of,
    prepare,
)
from tests.support.shared import run_folder
from tests.support.waiting import PATIENCE
from tests.support.where_time_went import WhereTimeWent
from tests.support.workflows import KINDS

# A shell starts what it puts into the background without SIGINT, which is how Autosubmit ends a run.
signal.signal(signal.SIGINT, signal.default_int_handler)
expect.set_options(timeout=1000 * PATIENCE)

# Unix accounts that tests may name as if this host had them.
PEOPLE = ("ana", "ben", "bea", "owner", "autosubmit", "stan")

_numbers = count(1)
_cookies: dict[tuple[Path, str], Any] = {}
REPOSITORY = Path(__file__).resolve().parent.parent
OWN_AUTOSUBMIT = REPOSITORY / "var" / "autosubmit-env" / "bin" / "autosubmit"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A portal of tests mostly waits. Five of them side by side need not look 100 times a second for something to do.
CALM = {"PORTAL_POLL_SECONDS": "0.25"}
MARKER_OF_FIXTURE = {
    "autosubmit": "autosubmit",
    "postgres": "postgres",
    "redis_server": "redis",
    "ldap_server": "ldap",
    "portal": "system",
    "browser": "browser",
    "host": "accounts",
}
SLOW = {*MARKER_OF_FIXTURE.values(), "node"}
FIXTURES_OF_DATABASE = {"db", "transactional_db"}


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the run before other processes are started, and see where the time goes."""
    run_folder()
    config.pluginmanager.register(WhereTimeWent())


def pytest_collection_finish() -> None:
    """Let the collector of garbage leave alone what stays to the end: imports, and six thousand tests."""
    gc.collect()
    gc.freeze()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test the markers of the fixtures that it uses, before `-m` chooses; one that has none is `fast`."""
    if not isinstance(item, pytest.Function):
        return
    for name in item.fixturenames:
        if name in MARKER_OF_FIXTURE:
            item.add_marker(MARKER_OF_FIXTURE[name])
    if not any(item.get_closest_marker(marker) for marker in SLOW):
        item.add_marker("fast")
    if item.get_closest_marker("django_db") or not FIXTURES_OF_DATABASE.isdisjoint(item.fixturenames):
        item.add_marker("database")


# --- Databases


@pytest.fixture(scope="session", autouse=True)
def _flush_without_triggers() -> Iterator[None]:
    """Let the tests that cannot roll back empty the audit trail, which refuses that to everybody else."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def teardown(self: TransactionTestCase) -> None:
        with connection.schema_editor() as editor:
            triggers.remove(None, editor)
        try:
            flush(self)
        finally:
            with connection.schema_editor() as editor:
                triggers.install(None, editor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


@pytest.fixture(scope="session", autouse=True)
def _drop_whoever_is_connected() -> Iterator[None]:
    """Drop the databases of tests at PostgreSQL although a session is there still.

    One that was closed ends some time later on a busy machine, and the server's own vacuum counts too.
    """

    def drop(creation: DatabaseCreation, name: str, verbosity: int) -> None:
        with creation.connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {creation.connection.ops.quote_name(name)} WITH (FORCE)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseCreation, "_destroy_test_db", drop)
        yield


@pytest.fixture(scope="session", autouse=True)
def _send_before_counting() -> Iterator[None]:
    """Send what a connection has put off to its COMMIT, which no test has, before queries are counted."""
    enter = CaptureQueriesContext.__enter__

    def enter_when_sent(context: CaptureQueriesContext) -> CaptureQueriesContext:
        with context.connection.cursor():
            return enter(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CaptureQueriesContext, "__enter__", enter_when_sent)
        yield


@pytest.fixture(autouse=True)
def _actions_directory(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the run directories of tests apart: rows that were rolled back leave their numbers to others."""
    settings.ACTIONS_DIRECTORY = tmp_path_factory.getbasetemp() / f"actions-of-test-{next(_numbers)}"


@pytest.fixture(scope="session", autouse=True)
def _hosts_of_modules() -> Iterator[None]:
    """Have them here also for fixtures that are made before those of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.hosts.caller", InProcessHosts())
        yield


@pytest.fixture(autouse=True)
def hosts_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcessHosts]:
    """Have the agents of all sites in this process."""
    hosts = InProcessHosts()
    monkeypatch.setattr("experiments.hosts.caller", hosts)
    monkeypatch.setattr("experiments.own_gateway.start", lambda: None)
    monkeypatch.setattr("experiments.mirror.site_mirror.make_reader", AtOnce)
    yield hosts
    hosts.close()


@pytest.fixture(scope="module")
def module_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a fixture of a module make rows for all tests of it: what a test does to them is undone after that test."""
    real = connections["default"]
    with django_db_blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(real, "close", lambda: None)  # each test closes its connections, and would lose the rows
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _no_locks_of_others(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what else runs on this host, experiments of the same names among it, from tests whose store is their own."""
    if "autosubmit" not in request.fixturenames:
        monkeypatch.setattr(liveness, "_LOCK_TABLE", LocksIn(partial(request.getfixturevalue, "tmp_path")))


@pytest.fixture
def private_umask() -> Iterator[None]:
    """Have the umask that the settings give to each process of the portal."""
    before = os.umask(PRIVATE_UMASK)
    yield
    os.umask(before)


@pytest.fixture(scope="session", autouse=True)
def _people_of_the_host() -> Iterator[None]:
    """Let this process know Unix accounts for those whom tests call owners, besides the ones that there are."""
    numbers = {name: 20_000 + number for number, name in enumerate(PEOPLE)}
    entries = {name: pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh")) for name, uid in numbers.items()}
    by_number = {entry.pw_uid: entry for entry in entries.values()}
    of_name, of_number = pwd.getpwnam, pwd.getpwuid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pwd, "getpwnam", lambda name: entries.get(name) or of_name(name))
        patch.setattr(pwd, "getpwuid", lambda uid: by_number.get(uid) or of_number(uid))
        yield


@pytest.fixture(autouse=True)
def _no_kept_answers() -> None:
    """Forget the answers of the test before: its rows were rolled back, and their keys and times come again."""
    forget_answers()
    get_name.cache_clear()
    forget_stamps()
    last_use._noted.clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real Redis server."""
    with redis.server() as running:
        yield running


@pytest.fixture
def at_redis(redis_server: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """Have the messages of this process wait in a Redis that is empty."""
    _use_redis(redis_server.url, settings, monkeypatch)
    get_broker().delete_queue()
    return redis_server


@pytest.fixture
def at_dead_redis(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the messages of this process wait in a Redis that is not there."""
    _use_redis(f"unix://{tmp_path}/nobody", settings, monkeypatch)


def _use_redis(url: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what PORTAL_BROKER_URL does when a process starts."""
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"redis": url}
    monkeypatch.setattr(Conf, "REDIS", url)
    monkeypatch.setattr(Conf, "BROKER_CLASS", "autosubmit_portal.workers.redis_broker.RedisBroker")


@pytest.fixture(scope="session", autouse=True)
def _last_use_waits() -> Iterator[None]:
    """Keep the thread that writes the last use of tokens out of the transactions of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(last_use, "begin", lambda: None)
        yield


# --- Autosubmit


class MakeExperiment(Protocol):
    """Makes an experiment of a kind of tests/support/workflows.py and returns its expid."""

    def __call__(self, kind: str, **options: Any) -> str: ...


@pytest.fixture(scope="session")
def autosubmit() -> Path:
    """The real Autosubmit program: that of $AUTOSUBMIT, or the one that `make autosubmit` installs."""
    given = os.environ.get("AUTOSUBMIT")
    program = Path(given).resolve(strict=True) if given else OWN_AUTOSUBMIT
    if not program.exists():
        subprocess.run(["make", "--silent", "autosubmit", "HOME_DIR=var"], cwd=REPOSITORY, check=True)
    return quick(program)


@pytest.fixture(scope="session")
def autosubmit_home(autosubmit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of one Autosubmit for all tests: configured, with its database, and with what tests make in it."""
    home = tmp_path_factory.mktemp("autosubmit-home")
    prepare(ForkedAutosubmit(program=autosubmit, home=home))
    yield home
    kill_processes_of(home)


@pytest.fixture(scope="session")
def make_experiment(autosubmit: Path, autosubmit_home: Path) -> MakeExperiment:
    """Make real experiments: small, failing, long(sleep=), mixed(sleep=), medium, large, waiting (no job list)."""

    def make(kind: str, **options: Any) -> str:
        workflow = KINDS[kind](**options)
        return workflow.make(ForkedAutosubmit(autosubmit, autosubmit_home), generate=kind != "waiting")

    return make


@pytest.fixture
def site(db: None, autosubmit: Path, autosubmit_home: Path) -> Site:
    """The row of the real site of `autosubmit_home`; tests that run no command take factories.create_site()."""
    return factories.create_site(
        slug="local", name="Local", autosubmit=str(autosubmit), home=str(autosubmit_home), is_default=True
    )


# --- People


@pytest.fixture
def actor(db: None) -> Callable[..., User]:
    """Make accounts: actor(Role.OPERATOR) is in the group of that role, actor() in none."""
    return factories.create_user


@pytest.fixture
def viewer(actor: Callable[..., User]) -> User:
    """Somebody who may look."""
    return actor(Role.VIEWER, username="viewer")


@pytest.fixture
def operator(actor: Callable[..., User]) -> User:
    """Somebody who may start and stop."""
    return actor(Role.OPERATOR, username="operator")


@pytest.fixture
def manager(actor: Callable[..., User]) -> User:
    """Somebody who may do everything that a role allows."""
    return actor(Role.MANAGER, username="manager")


@pytest.fixture
def api(db: None) -> Callable[..., APIClient]:
    """Make clients of the API: api(user) calls with a token of that user, api() calls as nobody."""

    def client(user: User | None = None) -> APIClient:
        made = APIClient()
        if user:
            made.credentials(HTTP_AUTHORIZATION=f"Bearer {factories.create_token(user)}")
        return made

    return client


# --- Single sign-on


@pytest.fixture(scope="session")
def running_provider() -> Iterator[Provider]:
    """A real OpenID Connect provider, for all tests of this process."""
    with identity_provider.provider() as running:
        yield running


@pytest.fixture
def provider(running_provider: Provider, settings: Any) -> Iterator[Provider]:
    """The provider, set as that of the portal: it knows nobody yet, and nothing of it is remembered."""
    running_provider.reset()
    forget_keys()
    settings.PROVIDERS = (running_provider.settings,)
    yield running_provider
    forget_keys()


@pytest.fixture(scope="session")
def running_cas() -> Iterator[CASServer]:
    """A real server of the CAS protocol, for all tests of this process."""
    with cas_server() as running:
        yield running


@pytest.fixture
def cas(running_cas: CASServer, settings: Any) -> CASServer:
    """The CAS server, set as that of the portal: it knows nobody yet."""
    running_cas.reset()
    settings.PROVIDERS = (running_cas.settings,)
    return running_cas


@pytest.fixture(scope="session")
def running_github() -> Iterator[GitHubServer]:
    """A server like GitHub, for all tests of this process."""
    with github_server() as running:
        yield running


@pytest.fixture
def github(running_github: GitHubServer, settings: Any) -> GitHubServer:
    """The server like GitHub, set as that of the portal: it knows nobody yet."""
    running_github.reset()
    settings.PROVIDERS = (running_github.settings,)
    return running_github


@pytest.fixture(scope="session")
def ldap_server() -> Iterator[LdapServer]:
    """A real directory: OpenLDAP."""
    with ldap.server() as running:
        yield running


@pytest.fixture
def directory(ldap_server: LdapServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> LdapServer:
    """The directory, set as that of the portal, which trusts its certificate: it knows nobody yet."""
    ldap_server.reset()
    monkeypatch.setattr("autosubmit_portal.access.sign_in.directory.SECONDS", int(PATIENCE))
    monkeypatch.setenv("SSL_CERT_FILE", str(ldap_server.certificate))
    settings.PROVIDERS = (ldap_server.settings,)
    return ldap_server


# --- The portal as processes, and a browser to look at it


@pytest.fixture(scope="session")
def static_files() -> Path:
    """The static files, collected once for all portals of the run."""
    return collected_static_files()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def portal(
    request: pytest.FixtureRequest, autosubmit: Path, static_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Portal]:
    """A running portal with an empty Autosubmit home, on each database.

    A module that needs one database only says so: pytest.mark.parametrize("portal", ["sqlite"], indirect=True).
    """
    home = tmp_path_factory.mktemp("portal")
    (home / "static").symlink_to(static_files)
    made = Portal(home, ForkedAutosubmit(autosubmit, home / "autosubmit-home"), variables=dict(CALM))
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    if server:
        made.database_url = server.create_database()
    prepare(made.autosubmit)
    try:
        made.set_up(refresh_seconds=1)
        made.start()
        yield made
    finally:
        made.tear_down()
        if server:
            server.drop_database(made.database_url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of the system, without a window: that of $CHROMIUM or the first one found.

    The first one draws no window that nobody sees, which takes half of the processor time.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.fail(
            "No Chromium: install it (Debian: apt-get install chromium-headless-shell) or name one in CHROMIUM."
        )
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's event loop lives in this thread, where Django then refuses the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages: open_page(url, **options of a browser context), with paths relative to `url`.

    A page that asks another host than those of `url` and `also` for anything fails the test, and so does an error in a
    script.
    """
    contexts, complaints = [], []

    def guard(route: Route, hosts: set[str]) -> None:
        if urlsplit(route.request.url).netloc in hosts:
            route.continue_()
        else:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

    def open_one(url: str, also: str = "", **options: Any) -> Page:
        # What moves without an end is painted 60 times a second, by the processor.
        context = browser.new_context(base_url=url, **{"reduced_motion": "reduce"} | options)
        context.set_default_timeout(1000 * PATIENCE)
        contexts.append(context)
        hosts = {"", urlsplit(url).netloc, urlsplit(also).netloc}
        context.route("**/*", lambda route: guard(route, hosts))
        context.on("weberror", lambda error: complaints.append(f"script error: {error.error}"))
        return context.new_page()

    yield open_one
    for context in contexts:
        context.unroute_all(behavior="ignoreErrors")  # a page that is live may be asking
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Page], portal: Portal) -> Page:
    """A page on the running portal, signed in as its first account."""
    opened = open_page(portal.url)
    be_signed_in(opened, portal, portal.credentials)
    return opened


def enter(page: Page, credentials: Credentials) -> None:
    """Send the form to sign in to the console, and wait for nothing."""
    page.goto("/login/")
    page.fill("input[name=username]", credentials.username)
    page.fill("input[name=password]", credentials.password)
    page.click("[type=submit]")


def sign_in(page: Page, credentials: Credentials) -> None:
    """Sign in to the console through its own form."""
    enter(page, credentials)
    page.wait_for_url(lambda url: "/login/" not in url)


def be_signed_in(page: Page, portal: Portal, credentials: Credentials) -> None:
    """Let a page be signed in: through the form the first time, then by the cookies of that session."""
    who = (portal.home, credentials.username)
    if who not in _cookies:
        sign_in(page, credentials)
        _cookies[who] = page.context.cookies()
    page.context.add_cookies(_cookies[who])
