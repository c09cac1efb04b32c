"""What a file refers to: people, sites, hosts, groups, permissions and experiments, which must be there."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.contrib.auth.models import Permission, User

from autosubmit_portal.management.configuration.current import name_permission
from autosubmit_portal.management.configuration.document import Configuration
from autosubmit_portal.management.configuration.rows import find_experiment
from autosubmit_portal.management.configuration.shape import Problem, join
from experiments import hosts
from experiments.models import Host

_NO_PERSON = (
    "There is no account “{}”. Correct the name, make the account in the console, or let them sign in once; "
    "--skip-missing leaves out who is not there yet."
)
_NO_EXPERIMENT = (
    "There is no experiment “{}”, written as <site>/<expid>, or the mirror has not seen it yet. Correct it, or leave "
    "out with --skip-missing what is not there yet."
)


def leave_out_missing(wanted: Configuration) -> list[str]:
    """Take people without an account and experiments that nobody has seen out of what is wanted; return their paths."""
    left_out = []
    for path, people in _list_people(wanted):
        for name in sorted(people.keys() - _find_accounts(people)):
            del people[name]
            left_out.append(join(path, name))
    for slug, team in wanted.get("teams", {}).items():
        unseen = [name for name in team.get("experiments", ()) if find_experiment(name) is None]
        if unseen:
            team["experiments"] = [name for name in team["experiments"] if name not in unseen]
        left_out += [join(f"{join('teams', slug)}.experiments", name) for name in unseen]
    return left_out


def check_references(wanted: Configuration, current: Configuration, *, is_pruning: bool) -> Iterator[Problem]:
    """Yield what the file refers to and is not there."""
    yield from _check_sites(wanted, current)
    yield from _check_hosts(wanted, current, is_pruning=is_pruning)
    for path, people in _list_people(wanted):
        for name in sorted(people.keys() - _find_accounts(people)):
            yield Problem(join(path, name), _NO_PERSON.format(name))
    for slug, team in wanted.get("teams", {}).items():
        for name in team.get("experiments", ()):
            if find_experiment(name) is None:
                yield Problem(f"{join('teams', slug)}.experiments", _NO_EXPERIMENT.format(name))
    yield from _check_permissions(wanted)
    groups = {*current["groups"], *wanted.get("groups", ())}
    for name, person in wanted.get("people", {}).items():
        yield from _find_unknown(f"{join('people', name)}.groups", "group", person.get("groups", ()), groups)


def _list_people(wanted: Configuration) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each mapping from names of accounts, with its path."""
    for slug, site in wanted.get("sites", {}).items():
        for part in ("roles", "accounts"):
            yield f"{join('sites', slug)}.{part}", site.get(part, {})
    for slug, team in wanted.get("teams", {}).items():
        yield f"{join('teams', slug)}.members", team.get("members", {})
    yield "people", wanted.get("people", {})


def _find_accounts(names: Iterable[str]) -> set[str]:
    return set(User.objects.filter(username__in=names).values_list("username", flat=True))


def _check_sites(wanted: Configuration, current: Configuration) -> Iterator[Problem]:
    sites = {*current["sites"], *wanted.get("sites", ())}
    for slug, site in wanted.get("sites", {}).items():
        for name in ("autosubmit", "home"):
            if slug not in current["sites"] and name not in site:
                yield Problem(f"{join('sites', slug)}.{name}", "A new site needs it. Add it.")
    named = {
        "default_site": [wanted["default_site"]] if wanted.get("default_site") else [],
        "freezes": [frozen["site"] for frozen in wanted.get("freezes", ())],
    }
    for slug, team in wanted.get("teams", {}).items():
        named[f"{join('teams', slug)}.covers"] = [line["site"] for line in team.get("covers", ()) if "site" in line]
    for path, slugs in named.items():
        yield from _find_unknown(path, "site", slugs, sites)


def _check_hosts(wanted: Configuration, current: Configuration, *, is_pruning: bool) -> Iterator[Problem]:
    listed = {slug: site["hosts"] for slug, site in wanted.get("sites", {}).items() if "hosts" in site}
    numbers = Counter(name for names in listed.values() for name in names)
    has = {name: slug for slug, site in current["sites"].items() for name in site["hosts"]}
    freed = {name for name, slug in has.items() if is_pruning and slug in listed and name not in listed[slug]}
    for slug, names in listed.items():
        path = f"{join('sites', slug)}.hosts"
        if not names:
            yield Problem(path, "A site needs a host. Name one, or leave “hosts” out.")
        for name in names:
            if numbers[name] > 1:
                yield Problem(path, f"The host “{name}” is named at another site too. Remove it from one of them.")
            elif has.get(name, slug) != slug and name not in freed:
                text = f"The host “{name}” is one of the site “{has[name]}”. Remove it there first."
                yield Problem(path, text)
    for host in Host.objects.filter(name__in=freed).select_related("site"):
        reason = hosts.explain_use(host)
        if reason:
            yield Problem(f"{join('sites', host.site.slug)}.hosts", f"“{host}” cannot be removed yet. {reason}")


def _check_permissions(wanted: Configuration) -> Iterator[Problem]:
    known = {name_permission(one) for one in Permission.objects.select_related("content_type")}
    for part in ("groups", "people"):
        for name, holder in wanted.get(part, {}).items():
            path = f"{join(part, name)}.permissions"
            yield from _find_unknown(path, "permission", holder.get("permissions", ()), known)


def _find_unknown(path: str, what: str, names: Iterable[str], known: Collection[str]) -> Iterator[Problem]:
    for name in names:
        if name not in known:
            yield Problem(path, f"There is no {what} “{name}”. Correct the name, or remove it.")
