"""`manage.py export_config` and `manage.py apply_config`."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from autosubmit_portal.access.models import BY_HAND, Coverage, Membership, SiteAccount, SitePolicy, SiteRole, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.management.configuration.document import SITE_FIELDS
from experiments.models import Freeze, Host, Site, State, Step
from tests.support import factories

pytestmark = pytest.mark.django_db

NAMES = ("ana", "bo", "carla")


def export() -> str:
    out = StringIO()
    call_command("export_config", stdout=out)
    return out.getvalue()


@pytest.fixture
def apply(tmp_path: Path) -> Callable[..., str]:
    """Apply a text, and return what that printed."""

    def apply(text: str, *options: str) -> str:
        file, out = tmp_path / "portal.yml", StringIO()
        file.write_text(text, encoding="utf-8")
        call_command("apply_config", str(file), *options, stdout=out, no_color=True)
        return out.getvalue()

    return apply


def complaint(apply: Callable[..., str], text: str, *options: str) -> str:
    """Return what is wrong with a file, which changes nothing."""
    before, entries = export(), AuditEntry.objects.count()
    with pytest.raises(CommandError) as refused:
        apply(text, *options)
    assert (export(), AuditEntry.objects.count()) == (before, entries)
    return str(refused.value)


def make_people() -> dict[str, User]:
    return {name: factories.create_user(username=name) for name in NAMES}


def make_all() -> None:
    """Make one of each thing that a file can have."""
    people = make_people()
    site = factories.create_site(slug="es", name="yes: \x1b[1m “ES”", is_default=True, package_kinds=["set_status"])
    site.hosts.update(name="login", position=3)
    Host.objects.create(site=site, name="1e3", position=1)
    factories.create_site(slug="other", most_commands=2)
    SitePolicy.objects.create(site=site, owner_role=Role.OPERATOR)
    SiteRole.objects.create(site=site, user=people["ana"], role=Role.MANAGER)
    SiteAccount.objects.create(site=site, user=people["bo"], unix_name="nobody")
    team = factories.create_team((people["ana"], Role.VIEWER), covers={"site": site, "hpc": "MN5"}, slug="ocean")
    Coverage.objects.create(team=team, owner="bo", expid_pattern="a0*")
    Membership.objects.create(team=team, user=people["carla"], role=Role.MANAGER, source="sso")
    Group.objects.get(name="Viewer").permissions.remove(Permission.objects.get(codename="view_job"))
    Group.objects.create(name="night").permissions.add(Permission.objects.get(codename="freeze_site"))
    people["carla"].groups.add(Group.objects.get(name="night"))
    people["carla"].user_permissions.add(Permission.objects.get(codename="manage_teams"))
    factories.create_freeze(site, platform="LUMI", message="Water: 1\nand 2", starts_at=timezone.now())
    factories.create_freeze(site, ended_at=timezone.now(), message="Over")


def unmake_all() -> None:
    """Remove all of it but the accounts, and give the groups of the roles what a new database gives them."""
    for model in (Freeze, Team, Site):
        model.objects.all().delete()
    Group.objects.exclude(name__in=[role.title for role in Role]).delete()
    Group.objects.get(name="Viewer").permissions.add(Permission.objects.get(codename="view_job"))
    for person in User.objects.all():
        person.groups.clear()
        person.user_permissions.clear()


def test_what_is_exported_and_applied_elsewhere_is_exported_again(
    apply: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autosubmit_portal.access.models.explain_unusable", lambda name: "")
    make_all()
    text = export()
    unmake_all()
    apply(text)
    assert export() == text


def test_an_export_has_nothing_of_a_provider_nothing_that_is_over_and_no_secret() -> None:
    make_all()
    text = export()
    assert "sso" not in text
    assert "Over" not in text
    assert User.objects.get(username="ana").password not in text


def test_a_second_apply_changes_nothing_and_writes_nothing_to_the_trail(
    apply: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autosubmit_portal.access.models.explain_unusable", lambda name: "")
    make_all()
    text, entries = export(), AuditEntry.objects.count()
    assert apply(text, "--prune") == "0 changes made.\n"
    assert AuditEntry.objects.count() == entries


SITE = "{autosubmit: /nonexistent/bin/autosubmit, home: /nonexistent/home, "


def test_each_change_is_in_the_trail_as_what_it_is(apply: Callable[..., str]) -> None:
    make_people()
    last = AuditEntry.objects.order_by("-id").first()
    apply(
        f"version: 1\nsites: {{es: {SITE} hosts: [a], roles: {{ana: operator}}}}}}\n"
        "teams: {ocean: {members: {bo: viewer}}}\nfreezes: [{site: es, message: Move}]\n"
    )
    entries = AuditEntry.objects.filter(id__gt=last.pk if last else 0).order_by("id")
    assert [entry.event for entry in entries] == [
        "site.created",
        "host.created",
        "host.changed",
        "site_role.created",
        "team.created",
        "membership.created",
        "freeze.made",
    ]
    assert {entry.door for entry in entries} == {"command line"}
    assert all(entry.credential.startswith("Unix account") for entry in entries)


def test_a_dry_run_says_what_would_change_and_changes_nothing(apply: Callable[..., str]) -> None:
    site = factories.create_site(slug="es", queue="portal")
    before = AuditEntry.objects.count()
    said = apply("version: 1\nsites: {es: {queue: slow}}", "--dry-run")
    site.refresh_from_db()
    assert said == '~ sites.es: queue "portal" → "slow"\n1 change would be made.\n'
    assert (site.queue, AuditEntry.objects.count()) == ("portal", before)


def test_what_the_file_does_not_name_stays_and_is_said(apply: Callable[..., str]) -> None:
    people = make_people()
    factories.create_team((people["ana"], Role.VIEWER), slug="ocean")
    factories.create_team(slug="ice")
    said = apply("version: 1\nteams: {ocean: {members: {bo: operator}}}")
    assert "= teams.ocean.members.ana: not in the file, stays" in said
    assert "= teams.ice: not in the file, stays" in said
    assert Membership.objects.filter(team__slug="ocean", source=BY_HAND).count() == 2


def test_prune_removes_what_stands_beside_what_the_file_names(apply: Callable[..., str]) -> None:
    people = make_people()
    site = factories.create_site(slug="es")
    factories.create_site(slug="other")
    Host.objects.create(site=site, name="b")
    factories.create_team((people["ana"], Role.VIEWER), slug="ocean")
    factories.create_team(slug="ice")
    factories.create_freeze(site)
    said = apply(
        "version: 1\nsites: {es: {hosts: [b]}}\nteams: {ocean: {members: {bo: viewer}}}\nfreezes: []", "--prune"
    )
    assert "= sites.other: not in the file, stays" in said
    assert [host.name for host in site.hosts.all()] == ["b"]
    assert [(m.user.username, m.team.slug) for m in Membership.objects.all()] == [("bo", "ocean")]
    assert not Team.objects.filter(slug="ice").exists()
    assert not Freeze.objects.current().exists()


def test_a_part_that_the_file_does_not_have_is_not_pruned(apply: Callable[..., str]) -> None:
    make_all()
    before = export()
    apply("version: 1\nsites: {es: {}, other: {}}", "--prune")
    assert export() == before


def test_hosts_go_into_the_order_of_the_file(apply: Callable[..., str]) -> None:
    site = factories.create_site(slug="es")
    Host.objects.create(site=site, name="b", position=1)
    apply("version: 1\nsites: {es: {hosts: [c, b]}}")
    assert [host.name for host in site.hosts.all()] == ["c", "b", "es"]


def test_a_host_moves_to_another_site_when_the_first_is_pruned(apply: Callable[..., str]) -> None:
    first, second = factories.create_site(slug="es"), factories.create_site(slug="other")
    Host.objects.create(site=first, name="b", position=1)
    apply("version: 1\nsites: {other: {hosts: [b, other]}, es: {hosts: [es]}}", "--prune")
    assert [[host.name for host in site.hosts.all()] for site in (first, second)] == [["es"], ["b", "other"]]


def test_another_site_becomes_the_default(apply: Callable[..., str]) -> None:
    factories.create_site(slug="es", is_default=True)
    apply(f"version: 1\ndefault_site: other\nsites: {{other: {SITE}}}}}")
    assert [site.slug for site in Site.objects.filter(is_default=True)] == ["other"]


def test_a_freeze_that_has_ended_is_not_made_again_by_its_old_line(apply: Callable[..., str]) -> None:
    factories.create_site(slug="es")
    over = (timezone.now() - timedelta(minutes=1)).isoformat()
    said = apply(f"version: 1\nfreezes: [{{site: es, message: Move, ends_at: '{over}'}}]")
    assert said == "0 changes made.\n"


def test_people_and_experiments_that_are_not_there_are_left_out_if_that_is_wanted(apply: Callable[..., str]) -> None:
    text = "version: 1\nteams: {ocean: {members: {ana: viewer}, experiments: [es/a000]}}\npeople: {bo: {groups: []}}"
    said = apply(text, "--skip-missing")
    assert [line for line in said.splitlines() if line.startswith("?")] == [
        "? teams.ocean.members.ana: not there yet, left out",
        "? people.bo: not there yet, left out",
        '? teams.ocean.experiments."es/a000": not there yet, left out',
    ]
    factories.create_user(username="ana")
    assert "+ teams.ocean.members.ana" in apply(text, "--skip-missing")


def test_all_that_is_wrong_is_told_at_once_with_its_place(apply: Callable[..., str]) -> None:
    make_people()
    factories.create_site(slug="es")
    said = complaint(
        apply,
        """
version: 1
colour: red
sites:
  es: {queue: 7, hosts: [a, a], run_as: root, approval_kinds: [fly], roles: {ana: boss, dora: viewer}}
  new: {home: relative}
teams: {ocean: {covers: [{site: nowhere}, {}], experiments: [es/a000]}}
groups: {night: {permissions: [experiments.fly]}}
people: {bo: {groups: [day]}}
freezes: [{site: es, message: Move, starts_at: tomorrow}]
""",
    )
    for place in (
        "colour: There is no such setting.",
        "sites.es.queue: It must be a text",
        "sites.es.hosts[1]: It stands here twice.",
        "sites.es.run_as: Value 'root'",
        "sites.es.approval_kinds[0]: It must be one of:",
        "sites.es.roles.ana: It must be one of:",
        "sites.es.roles.dora: There is no account",
        "sites.new.home: An absolute path.",
        "sites.new.autosubmit: A new site needs it.",
        "teams.ocean.covers: There is no site “nowhere”.",
        "teams.ocean.covers[1]: It says nothing.",
        "teams.ocean.experiments: There is no experiment “es/a000”",
        "groups.night.permissions: There is no permission “experiments.fly”.",
        "people.bo.groups: There is no group “day”.",
        "freezes[0].starts_at: It must be a time with its zone",
    ):
        assert f"\n{place}" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version: 1\nversion: 1", "line 2, column 1: a key stands twice"),
        ("version: !!python/object/apply:os.system [touch /tmp/x]", "tags, anchors and aliases are not read"),
        ("version: &a 1\nsites: *a", "tags, anchors and aliases are not read"),
        ("%YAML 1.1\n---\nversion: 1", "directives are not read"),
        ("- version", "it holds no mapping at its top"),
        ("", "it holds no mapping at its top"),
        ("version: 1\n---\nversion: 1", "expected a single document"),
        ("sites: " + "[" * 60 + "]" * 60, "it is nested more than"),
        ("version: 1 #" + "x" * 1024 * 1024, "it has more than 1,048,576 bytes"),
        ("version: 2", "version: It must be one of: 1."),
        ("sites: {}", "version: It is missing."),
    ],
)
def test_what_is_no_such_file_is_refused(apply: Callable[..., str], text: str, why: str) -> None:
    assert why in complaint(apply, text)


def test_a_host_of_another_site_is_refused(apply: Callable[..., str]) -> None:
    factories.create_site(slug="es")
    factories.create_site(slug="other")
    assert "is one of the site “es”" in complaint(apply, "version: 1\nsites: {other: {hosts: [es]}}")


def test_a_host_with_commands_is_not_pruned(apply: Callable[..., str]) -> None:
    site = factories.create_site(slug="es")
    action = factories.create_action(factories.create_experiment(site), state=State.RUNNING)
    Step.objects.create(action=action, number=0, key=str(uuid.uuid4()), host=site.hosts.get())
    assert "“es” cannot be removed yet." in complaint(apply, "version: 1\nsites: {es: {hosts: [b]}}", "--prune")


def test_nothing_is_half_done_when_the_database_refuses(
    apply: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.create_site(slug="es")
    monkeypatch.setattr(
        "autosubmit_portal.management.configuration.plan.put_freeze", lambda *_: Site.objects.create(slug="es")
    )
    said = complaint(apply, "version: 1\nteams: {ocean: {}}\nfreezes: [{site: es, message: Move}]")
    assert "Nothing was changed" in said


def test_the_page_shows_a_file_that_can_be_applied(apply: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autosubmit_portal.access.models.explain_unusable", lambda name: "")
    make_people()
    page = (settings.BASE_DIR / "docs" / "configuration.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0].replace("experiments: [es/a000]", "experiments: []")
    apply(text)
    assert apply(text) == "0 changes made.\n"


def test_a_file_has_every_column_of_a_site_that_people_set() -> None:
    people_set = {field.name for field in Site._meta.concrete_fields if field.editable}
    assert {*SITE_FIELDS} == people_set - {"id", "slug", "is_default"}
