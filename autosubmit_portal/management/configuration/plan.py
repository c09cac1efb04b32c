"""From a file to changes: all that differs between what it wants and what there is."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.management.configuration import rows
from autosubmit_portal.management.configuration.changes import Changes, show
from autosubmit_portal.management.configuration.current import (
    describe_freeze,
    list_freezes,
    read_current,
    sort_conditions,
)
from autosubmit_portal.management.configuration.document import SITE_FIELDS, Configuration, WrongFile, read_file
from autosubmit_portal.management.configuration.references import check_references, leave_out_missing
from autosubmit_portal.management.configuration.shape import join
from experiments.actions.freeze import FreezePlan, lift_freeze, put_freeze
from experiments.models import Freeze, Site

_NOTHING: Configuration = {"groups": [], "permissions": []}


def apply_file(file: Path, *, origin: Origin, is_pruning: bool, is_skipping: bool, is_dry_run: bool) -> Changes:
    """Make the portal as a file says, all or nothing; return what that changes. Raises WrongFile."""
    wanted, problems = read_file(file)
    with transaction.atomic():
        current = read_current()
        changes = Changes(is_pruning, left_out=leave_out_missing(wanted) if is_skipping else [])
        problems += check_references(wanted, current, is_pruning=is_pruning)
        if problems:
            raise WrongFile(problems)
        _compare(changes, wanted, current, origin)
        for change in () if is_dry_run else changes:
            change.make()
    return changes


def _compare(changes: Changes, wanted: Configuration, current: Configuration, origin: Origin) -> None:
    for slug, site in wanted.get("sites", {}).items():
        _compare_site(changes, slug, site, current["sites"].get(slug))
    if "sites" in wanted:
        # Experiments, actions and the trail refer to them.
        changes.kept += [join("sites", slug) for slug in current["sites"] if slug not in wanted["sites"]]
    changes.compare_settings("", _take(wanted, "default_site"), current, _put_default_site)
    for name, group in wanted.get("groups", {}).items():
        _compare_group(changes, name, group, current["groups"].get(name))
    for slug, team in wanted.get("teams", {}).items():
        _compare_team(changes, slug, team, current["teams"].get(slug))
    _drop_spare(changes, wanted, current)
    _compare_people(changes, wanted, current["people"])
    _compare_freezes(changes, wanted, origin)


def _put_default_site(settings: Mapping[str, Any]) -> None:
    rows.put_default_site(settings["default_site"])


def _compare_site(changes: Changes, slug: str, wanted: Configuration, current: Configuration | None) -> None:
    path, settings = join("sites", slug), _take(wanted, *SITE_FIELDS, "owner_role")
    names = wanted.get("hosts", [])
    if current is None:
        changes.add("+", path, "", partial(rows.make_site, slug, settings, names))
    else:
        changes.compare_settings(path, settings, current, lambda new: rows.put_site(Site.objects.get(slug=slug), new))
    has = current or {}
    _compare_hosts(changes, slug, names, has.get("hosts", []))
    put, drop = partial(rows.put_site_role, slug), partial(rows.drop_site_role, slug)
    changes.compare_names(f"{path}.roles", wanted.get("roles"), has.get("roles", {}), put=put, drop=drop)
    put, drop = partial(rows.put_account, slug), partial(rows.drop_account, slug)
    changes.compare_names(f"{path}.accounts", wanted.get("accounts"), has.get("accounts", {}), put=put, drop=drop)


def _compare_hosts(changes: Changes, slug: str, wanted: list[str], current: list[str]) -> None:
    """Note new hosts and another order as one change; the order is that of the file, before the others."""
    if not wanted:
        return
    path = f"{join('sites', slug)}.hosts"
    spare = changes.list_spare(path, wanted, current)
    for name in spare:
        changes.add("-", join(path, name), "", partial(rows.remove_host, name))
    kept = [name for name in current if name not in spare]
    order = [*wanted, *(name for name in kept if name not in wanted)]
    if kept != order:
        text = f"{', '.join(kept) or 'none'} → {', '.join(order)}"
        changes.add("~", path, text, partial(rows.put_hosts, slug, wanted))


def _compare_group(changes: Changes, name: str, wanted: Configuration, current: Configuration | None) -> None:
    settings = {key: sorted(value) for key, value in wanted.items()}
    if current is None:
        changes.add("+", join("groups", name), "", partial(rows.put_group, name, settings))
    else:
        changes.compare_settings(join("groups", name), settings, current, partial(rows.put_group, name))


def _compare_team(changes: Changes, slug: str, wanted: Configuration, current: Configuration | None) -> None:
    path, settings = join("teams", slug), _take(wanted, "name", "description", "covers")
    if "covers" in settings:
        settings["covers"] = sort_conditions(settings["covers"])
    if current is None:
        changes.add("+", path, "", partial(rows.put_team, slug, settings))
    else:
        changes.compare_settings(path, settings, current, partial(rows.put_team, slug))
    has = current or {}
    put, drop = partial(rows.put_member, slug), partial(rows.drop_member, slug)
    changes.compare_names(f"{path}.members", wanted.get("members"), has.get("members", {}), put=put, drop=drop)
    picked = partial(rows.put_team_experiment, slug), partial(rows.drop_team_experiment, slug)
    changes.compare_lists(f"{path}.experiments", wanted.get("experiments"), has.get("experiments", []), *picked)


def _drop_spare(changes: Changes, wanted: Configuration, current: Configuration) -> None:
    """Note teams and groups that the file does not name; the groups of the roles always stay."""
    if "teams" in wanted:
        for slug in changes.list_spare("teams", wanted["teams"], current["teams"]):
            changes.add("-", join("teams", slug), "", partial(rows.drop_team, slug))
    if "groups" in wanted:
        others = [name for name in current["groups"] if name not in {role.title for role in Role}]
        for name in changes.list_spare("groups", wanted["groups"], others):
            changes.add("-", join("groups", name), "", partial(rows.drop_group, name))


def _compare_people(changes: Changes, wanted: Configuration, current: Configuration) -> None:
    if "people" not in wanted:
        return
    # Whom the file does not name has no groups and permissions there.
    people = dict.fromkeys(current, _NOTHING) | wanted["people"]
    for name, person in people.items():
        path, has = join("people", name), current.get(name, _NOTHING)
        groups = partial(rows.put_in_group, name), partial(rows.drop_from_group, name)
        changes.compare_lists(f"{path}.groups", person.get("groups"), has["groups"], *groups)
        own = partial(rows.put_permission, name), partial(rows.drop_permission, name)
        changes.compare_lists(f"{path}.permissions", person.get("permissions"), has["permissions"], *own)


def _compare_freezes(changes: Changes, wanted: Configuration, origin: Origin) -> None:
    """Note freezes to make and to end: one is never changed, and is another if anything about it differs.

    One without a start is the one that began already. One that is over stays so.
    """
    if "freezes" not in wanted:
        return
    now, left = timezone.now(), [(describe_freeze(frozen), frozen) for frozen in list_freezes()]
    for plan in wanted["freezes"]:
        found = next((pair for pair in left if _is_same_freeze(plan, pair[0])), None)
        if found:
            left.remove(found)
        elif plan["ends_at"] is None or plan["ends_at"] > now:
            changes.add(
                "+", "freezes", _name_freeze(plan), partial(_make_freeze, plan, plan["starts_at"] or now, origin)
            )
    for has, frozen in left:
        if changes.is_pruning:
            changes.add("-", "freezes", _name_freeze(has), partial(_lift_freeze, frozen, now, origin))
        else:
            changes.kept.append(f"freezes: {_name_freeze(has)}")


def _is_same_freeze(plan: Configuration, has: Configuration) -> bool:
    return plan | {"starts_at": plan["starts_at"] or has["starts_at"]} == has


def _name_freeze(frozen: Configuration) -> str:
    where = f"{frozen['platform']} at {frozen['site']}" if frozen["platform"] else frozen["site"]
    return f"{where}, {show(frozen['message'])}"


def _make_freeze(plan: Configuration, starts_at: datetime, origin: Origin) -> None:
    site, values = Site.objects.get(slug=plan["site"]), _take(plan, "platform", "message", "ends_at")
    put_freeze(FreezePlan(site=site, **values), starts_at, origin)


def _lift_freeze(frozen: Freeze, at: datetime, origin: Origin) -> None:
    lift_freeze(frozen, at, origin)


def _take(values: Configuration, *names: str) -> Configuration:
    return {name: values[name] for name in names if name in values}
