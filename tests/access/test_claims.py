"""What claims grant, and what the rules about them may say."""

from pathlib import Path

import pytest

from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.claims import (
    Grant,
    InvalidRules,
    compute_digest,
    find_grants,
    get_values,
    read_rules,
)

RULES = read_rules(
    """{"/edito": {"team": "edito", "role": "viewer"},
        "/edito/operators": {"team": "edito", "role": "operator"},
        "/lumi": [{"site": "lumi", "role": "viewer"}, {"team": "lumi", "role": "manager"}],
        "admins": {"role": "Manager"}}"""
)


@pytest.mark.parametrize(
    ("claims", "paths", "values"),
    [
        ({"groups": ["/a", "/b"]}, ["groups"], {"/a", "/b"}),
        ({"groups": "one"}, ["groups"], {"one"}),
        ({"realm_access": {"roles": ["x"]}}, ["realm_access.roles"], {"x"}),
        ({"https://sso.example.org/groups": ["y"]}, ["https://sso.example.org/groups"], {"y"}),
        ({"groups": ["a"], "realm_access": {"roles": ["b"]}}, ["groups", "realm_access.roles"], {"a", "b"}),
        ({"groups": ["a", 7, None, {"b": "c"}]}, ["groups"], {"a"}),
        ({"groups": []}, ["groups"], set()),
        ({"groups": {"a": 1}}, ["groups"], set()),
        ({"groups": ["a"]}, ["groups.roles"], None),
        ({"realm_access": "x"}, ["realm_access.roles"], None),
        ({}, ["groups"], None),
    ],
)
def test_the_values_of_claims(claims: dict[str, object], paths: list[str], values: set[str] | None) -> None:
    assert get_values(claims, paths) == values


@pytest.mark.parametrize(
    ("values", "grants"),
    [
        (["/edito"], {Grant(Role.VIEWER, team="edito")}),
        (["/edito/operators", "/edito"], {Grant(Role.OPERATOR, team="edito")}),
        (["/lumi"], {Grant(Role.VIEWER, site="lumi"), Grant(Role.MANAGER, team="lumi")}),
        (["admins"], {Grant(Role.MANAGER)}),
        (["unknown", "/EDITO", "edito"], set()),
        ([], set()),
    ],
)
def test_what_values_grant(values: list[str], grants: set[Grant]) -> None:
    assert find_grants(values, RULES) == grants


def test_the_digest_is_that_of_the_grants_in_any_order() -> None:
    few, many = find_grants(["/lumi"], RULES), find_grants(["/lumi", "admins"], RULES)
    assert compute_digest(list(few)) == compute_digest(list(reversed(list(few))))
    assert compute_digest(few) != compute_digest(many)


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "teams.yml"
    file.write_text("/edito:\n  team: edito\n  role: operator\n")
    assert read_rules(str(file)) == {"/edito": (Grant(Role.OPERATOR, team="edito"),)}


def test_no_rules_grant_nothing() -> None:
    assert read_rules("") == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{[", "neither JSON nor YAML"),
        ("{'a': 'operator'}", "needs a role"),
        ("{'a': {'role': 'king'}}", "viewer, operator, manager"),
        ("{'a': {'team': 'x'}}", "has the role “None”"),
        ("{'a': {'team': 'x', 'site': 'y', 'role': 'viewer'}}", "a team and a site"),
        ("{'a': {'teem': 'x', 'role': 'viewer'}}", "needs a role"),
        ("/nowhere/teams.json", "cannot be read"),
    ],
)
def test_rules_that_are_none_are_refused_and_say_why(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRules, match=complaint):
        read_rules(text)
