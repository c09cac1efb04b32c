"""The trail records what happens and lets nobody change it."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from django.test import Client, RequestFactory

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AppendOnlyError, AuditEntry
from autosubmit_portal.audit.origin import Door, Origin, get_client_address
from experiments.models import Site
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    return factories.create_site()


@pytest.fixture
def entry() -> AuditEntry:
    return trail.record("test.happened", origin=Origin(door=Door.COMMAND_LINE, actor_name="somebody"))


def test_an_entry_cannot_be_saved_again(entry: AuditEntry) -> None:
    entry.message = "changed"
    with pytest.raises(AppendOnlyError):
        entry.save()


def test_an_entry_cannot_be_deleted(entry: AuditEntry) -> None:
    with pytest.raises(AppendOnlyError):
        entry.delete()


@pytest.mark.parametrize("verb", ["update", "delete", "bulk_update", "update_or_create"])
def test_a_queryset_of_entries_cannot_change_them(verb: str, entry: AuditEntry) -> None:
    with pytest.raises(AppendOnlyError):
        getattr(AuditEntry.objects.all(), verb)()


@pytest.mark.parametrize("sql", ["UPDATE audit_auditentry SET message = 'x'", "DELETE FROM audit_auditentry"])
def test_the_database_refuses_changes_through_sql(sql: str, entry: AuditEntry) -> None:
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(sql)


COLUMNS = ", ".join(field.attname for field in AuditEntry._meta.concrete_fields)
COPY = f"SELECT {COLUMNS.replace('message', chr(39) + 'x' + chr(39))} FROM audit_auditentry"
REWRITES = {
    "sqlite": [
        f"INSERT OR REPLACE INTO audit_auditentry ({COLUMNS}) {COPY}",
        f"REPLACE INTO audit_auditentry ({COLUMNS}) {COPY}",
        f"INSERT OR IGNORE INTO audit_auditentry ({COLUMNS}) {COPY}",
        f"INSERT INTO audit_auditentry ({COLUMNS}) {COPY} WHERE true ON CONFLICT (id) DO UPDATE SET message = 'x'",
        f"INSERT INTO audit_auditentry ({COLUMNS}) {COPY.replace('SELECT id', 'SELECT id - 1')} ORDER BY id LIMIT 1",
        "UPDATE OR REPLACE audit_auditentry SET message = 'x'",
        "UPDATE OR IGNORE audit_auditentry SET message = 'x'",
    ],
    "postgresql": [
        f"INSERT INTO audit_auditentry ({COLUMNS}) {COPY} ON CONFLICT (id) DO UPDATE SET message = 'x'",
        f"MERGE INTO audit_auditentry old USING ({COPY}) new ON old.id = new.id "
        "WHEN MATCHED THEN UPDATE SET message = 'x'",
        "TRUNCATE audit_auditentry",
    ],
}


@pytest.mark.parametrize("number", range(7))
def test_the_database_refuses_entries_in_the_place_of_others(number: int, entry: AuditEntry) -> None:
    for sql in REWRITES[connection.vendor][number : number + 1]:
        with pytest.raises(DatabaseError, match="audit entries"), transaction.atomic():
            connection.cursor().execute(sql)


def test_text_that_no_database_takes_is_recorded_all_the_same() -> None:
    origin = Origin(door=Door.API, actor_name="mallory")
    entry = trail.record("test.refused", origin=origin, details={"jobs": ["nul\0", "\ud800"]}, message="\0")
    entry.refresh_from_db()
    assert entry.details == {"jobs": ["nul␀", "?"]}


def test_a_sign_in_is_recorded_with_its_address(client: Client, operator: User) -> None:
    operator.set_password("correct horse")
    operator.save()
    client.post("/login/", {"username": operator.username, "password": "correct horse"}, REMOTE_ADDR="192.0.2.9")
    entry = AuditEntry.objects.get(event="sign_in.succeeded")
    assert (entry.actor_name, entry.address, entry.door) == (operator.username, "192.0.2.9", "admin")


def test_a_failed_sign_in_is_recorded_without_the_password(client: Client) -> None:
    client.post("/login/", {"username": "mallory", "password": "guess-7"}, REMOTE_ADDR="192.0.2.9")
    entry = AuditEntry.objects.get(event="sign_in.failed")
    assert entry.subject == "user mallory"
    assert entry.address == "192.0.2.9"
    assert "guess-7" not in f"{entry.details}{entry.message}"


def test_a_changed_site_is_recorded_field_by_field(site: Site) -> None:
    site.name = "Renamed"
    site.save()
    changes = AuditEntry.objects.get(event="site.changed").details["changes"]
    assert list(changes) == ["name"]
    assert changes["name"][1] == "Renamed"


def test_what_the_mirror_writes_to_a_site_is_no_change_of_the_site(site: Site) -> None:
    site.problem = "broken"
    site.save()
    assert not AuditEntry.objects.filter(event="site.changed").exists()


def test_a_user_who_joins_a_group_is_recorded(viewer: User) -> None:
    viewer.groups.add(Group.objects.get(name="Manager"))
    entry = AuditEntry.objects.filter(event="user.permissions_changed").latest("pk")
    assert entry.details["add"] == ["Manager"]


def test_a_changed_password_is_recorded_without_its_hash(viewer: User) -> None:
    viewer.set_password("correct horse")
    viewer.save()
    entry = AuditEntry.objects.filter(event="user.changed").latest("pk")
    assert entry.details == {"changes": {"password": ["…", "…"]}}


def test_a_forged_forwarding_header_is_not_believed(rf: RequestFactory) -> None:
    request = rf.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="203.0.113.5")
    assert get_client_address(request) == "192.0.2.1"


def test_our_own_proxy_is_believed(rf: RequestFactory, settings: object) -> None:
    settings.TRUSTED_PROXIES = 1  # type: ignore[attr-defined]
    request = rf.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="198.51.100.1, 203.0.113.5")
    assert get_client_address(request) == "203.0.113.5"
