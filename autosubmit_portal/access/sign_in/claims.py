"""What the claims of an identity provider grant. Plain Python: the settings read the rules through it.

The rules (PORTAL_OIDC_TEAMS) map the value of a claim to one grant or a list of them:

    {"/climate-dt/operators": {"team": "climate-dt", "role": "operator"},
     "/lumi": {"site": "lumi", "role": "viewer"},
     "portal-admins": {"role": "manager"}}

A grant names a team, or a site, or neither, which means everywhere.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import yaml

from autosubmit_portal.access.roles import Role

Claims = Mapping[str, Any]


class InvalidRules(ValueError):
    """A rule is not valid; the text says which one, and why."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """A role: in the team with a slug, at the site with a slug, or, without either, everywhere."""

    role: Role
    team: str = ""
    site: str = ""


Rules = Mapping[str, tuple[Grant, ...]]


def read_rules(text: str) -> dict[str, tuple[Grant, ...]]:
    """Return the rules of a setting: JSON or YAML, or the path of such a file. Raise InvalidRules for anything else."""
    if not text.strip():
        return {}
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text()
        except OSError as error:
            raise InvalidRules(f"{text} cannot be read: {error.strerror}.") from error
    try:
        rules = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidRules(f"This is neither JSON nor YAML: {error}") from error
    if not isinstance(rules, dict):
        raise InvalidRules("The rules must map values of claims to grants.")
    return {str(value): tuple(_read_grants(str(value), given)) for value, given in rules.items()}


def _read_grants(value: str, given: Any) -> Iterable[Grant]:
    for grant in given if isinstance(given, list) else [given]:
        if not isinstance(grant, dict) or not grant.keys() <= {"role", "team", "site"}:
            raise InvalidRules(f"“{value}” needs a role, and a team or a site, or neither for everywhere.")
        names = {name: str(grant.get(name) or "") for name in ("team", "site")}
        if all(names.values()):
            raise InvalidRules(f"“{value}” names a team and a site in one grant. Make a list of two.")
        yield Grant(_parse_role(value, grant.get("role")), **names)


def _parse_role(value: str, name: Any) -> Role:
    try:
        return Role[str(name).upper()]
    except KeyError:
        roles = ", ".join(role.name.lower() for role in Role)
        raise InvalidRules(f"“{value}” has the role “{name}”. There are {roles}.") from None


def get_values(claims: Claims, paths: Iterable[str]) -> frozenset[str] | None:
    """Return the values of the claims at `paths`, None if there is no such claim at all.

    A path is the name of a claim, which may itself contain dots, or leads into nested ones: `realm_access.roles`.
    """
    found = [value for value in (_look_up(claims, path) for path in paths) if value is not None]
    if not found:
        return None
    return frozenset(
        item for value in found for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)
    )


def _look_up(claims: Any, path: str) -> Any:
    if not isinstance(claims, Mapping):
        return None
    if path in claims:
        return claims[path]
    first, _, rest = path.partition(".")
    return _look_up(claims.get(first), rest) if rest else None


def find_grants(values: Iterable[str], rules: Rules) -> frozenset[Grant]:
    """Return what the values of claims grant: for each team, each site and everywhere the highest role."""
    highest: dict[tuple[str, str], Grant] = {}
    for grant in sorted(grant for value in values for grant in rules.get(value, ())):
        highest[grant.team, grant.site] = grant
    return frozenset(highest.values())


def compute_digest(grants: Iterable[Grant]) -> str:
    """Return a digest of the grants: nothing has to change while it stays the same."""
    text = json.dumps(sorted(astuple(grant) for grant in grants))
    return hashlib.sha256(text.encode()).hexdigest()
