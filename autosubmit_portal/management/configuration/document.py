"""The file of the configuration: what stands in it, and how it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group

from autosubmit_portal.access.models import Coverage, SiteAccount, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.management.configuration.shape import (
    WRONG,
    Problem,
    Problems,
    be_field,
    be_list,
    be_mapping,
    be_one_of,
    be_record,
    be_text,
    be_time,
    refuse,
)
from experiments.actions.freeze import LONGEST_MESSAGE
from experiments.autosubmit.plain_data import BadData, parse_strict_yaml
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Freeze, Host, Site

Configuration = dict[str, Any]

VERSION = 1
MOST_BYTES = 1024 * 1024
# The columns of a site that the file sets; hosts, rights and accounts stand beside them.
SITE_FIELDS = (
    "name",
    "autosubmit",
    "home",
    "configuration",
    "program",
    "queue",
    "run_as",
    "refresh_seconds",
    "most_commands",
    "unpushed",
    "package_kinds",
    "unpushed",
    "disabled_kinds",
    "approval_kinds",
    "approval_hours",
)
_KINDS = {
    "package_kinds": [kind.name for kind in CATALOGUE.values() if kind.can_start_warm],
    "disabled_kinds": [*CATALOGUE],
    "approval_kinds": [kind.name for kind in CATALOGUE.values() if not kind.stops_run],
}
ROLES = tuple(role.name.lower() for role in Role)
_ROLE = be_one_of(*ROLES)


class WrongFile(Exception):
    """The file cannot be applied; `problems` are all that is wrong with it."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def _be_condition(value: Any, path: str, problems: Problems) -> Any:
    """Take one line of the coverage of a team."""
    fields = {name: be_field(Coverage, name) for name in Coverage.CONDITIONS if name != "site"}
    taken = be_record({"site": be_text, **fields})(value, path, problems)
    if taken == {}:
        return refuse(path, f"It says nothing. Give some of: {', '.join(Coverage.CONDITIONS)}.", problems)
    return taken


def _be_freeze(value: Any, path: str, problems: Problems) -> Any:
    fields = {
        "site": be_text,
        "platform": be_field(Freeze, "platform"),
        "message": be_text,
        "starts_at": be_time,
        "ends_at": be_time,
    }
    taken = be_record(fields, required=("site", "message"))(value, path, problems)
    if taken is WRONG:
        return WRONG
    starts_at, ends_at, message = taken.get("starts_at"), taken.get("ends_at"), taken.get("message", "").strip()
    if starts_at and ends_at and ends_at <= starts_at:
        return refuse(path, "It must end after its start.", problems)
    if len(message) > LONGEST_MESSAGE:
        return refuse(path, f"Its message may have {LONGEST_MESSAGE:,} characters.", problems)
    platform = taken.get("platform", "").strip().upper()
    return taken | {"platform": platform, "message": message, "starts_at": starts_at, "ends_at": ends_at}


_SITE = be_record(
    {
        **{name: be_field(Site, name) for name in SITE_FIELDS if name not in _KINDS},
        **{name: be_list(be_one_of(*kinds)) for name, kinds in _KINDS.items()},
        "owner_role": be_one_of(None, *ROLES),
        "hosts": be_list(be_field(Host, "name")),
        "roles": be_mapping(_ROLE),
        "accounts": be_mapping(be_field(SiteAccount, "unix_name")),
    }
)
_TEAM = be_record(
    {
        "name": be_field(Team, "name"),
        "description": be_field(Team, "description"),
        "covers": be_list(_be_condition),
        "experiments": be_list(be_text),
        "members": be_mapping(_ROLE),
    }
)
_FILE = be_record(
    {
        "version": be_one_of(VERSION),
        "default_site": lambda value, *more: None if value is None else be_text(value, *more),
        "sites": be_mapping(_SITE, be_field(Site, "slug")),
        "teams": be_mapping(_TEAM, be_field(Team, "slug")),
        "groups": be_mapping(be_record({"permissions": be_list(be_text)}), be_field(Group, "name")),
        "people": be_mapping(be_record({"groups": be_list(be_text), "permissions": be_list(be_text)})),
        "freezes": be_list(_be_freeze),
    },
    required=("version",),
)


def read_file(file: Path) -> tuple[Configuration, Problems]:
    """Return what a file wants, and what is wrong with it. Raises WrongFile for what is no such file at all."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadData(f"it has more than {MOST_BYTES:,} bytes")
        values = parse_strict_yaml(content.decode())
    except OSError as error:
        raise WrongFile([Problem("", f"{file} cannot be read: {error.strerror}.")]) from error
    except UnicodeDecodeError as error:
        raise WrongFile([Problem("", f"{file} is no text in UTF-8.")]) from error
    except BadData as error:
        raise WrongFile([Problem("", f"{file} cannot be used: {error}.")]) from error
    return check(values)


def check(values: Mapping[str, Any]) -> tuple[Configuration, Problems]:
    """Return what is right in a configuration, and what is wrong with it."""
    problems: Problems = []
    taken = _FILE(values, "", problems)
    return {} if taken is WRONG else taken, problems
