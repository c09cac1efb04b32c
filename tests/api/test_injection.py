"""Hostile text through every field of the API: it is refused, or it stays text in its own field.

The fields are those of the catalogue and of the OpenAPI document: a new one is covered by being there.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.apps import apps
from rest_framework.test import APIClient

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.refusals import InvalidParameters
from experiments.actions.validation import validate_parameters
from experiments.autosubmit.command import Option, OptionType
from experiments.catalogue.kinds import CATALOGUE, ActionKind
from experiments.models import Action, Experiment
from jobs.autosubmit.secrets import mask_text
from tests.api.test_schema import document
from tests.support import factories
from tests.support.corpus import CORPUS, DENSE, FORMULA, HEADER

TEXTS = (OptionType.TEXT, OptionType.LONG_TEXT, OptionType.LIST)
FIELDS = [(kind, option) for kind in CATALOGUE.values() for option in kind.options if option.type in TEXTS]
RUN = "/v4/experiments/a000?action=run"
# What a request may leave behind; everything else in the database stays as it was.
GROWING = {
    "audit.Tally",
    *("audit.AuditEntry", "experiments.Action", "experiments.Freeze", "experiments.Note"),
    *("access.ApiToken", "access.Delegation"),
    "django_q.OrmQ",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, in which nothing appears."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    yield work
    assert list(work.iterdir()) == []


def everything_else() -> dict[str, int]:
    models = (model for model in apps.get_models() if model._meta.managed)
    return {m._meta.label: m._default_manager.count() for m in models if m._meta.label not in GROWING}


def ask(client: APIClient, method: str, address: str, body: Any, **headers: str) -> Any:
    """Send a body as JSON in ASCII, as which any text can be written."""
    data = json.dumps(body) if method != "GET" else ""
    return client.generic(method, address, data, content_type="application/json", headers=headers)


# --- The options of the catalogue


def required(kind: ActionKind, option: Option) -> dict[str, Any]:
    """Return what must be there besides the option, and what it goes together with."""
    given = {other.name: other.example for other in kind.options if other.required}
    if option.choose:
        given.pop("jobs", None)
    return given | ({"minimal_configuration": True} if option.name.startswith("git_") else {})


def refusal_of(kind: ActionKind, given: dict[str, Any]) -> list[str]:
    """Return the names of the fields that are refused."""
    try:
        validate_parameters(kind, given)
    except InvalidParameters as refusal:
        return list(refusal.errors)
    return []


@pytest.mark.parametrize(("kind", "option"), FIELDS, ids=[f"{k.name}-{o.name}" for k, o in FIELDS])
def test_a_text_of_an_action_is_refused_or_one_argument(kind: ActionKind, option: Option) -> None:
    for text in CORPUS:
        value, given = [text] if option.type is OptionType.LIST else text, required(kind, option)
        refused = refusal_of(kind, given | {option.name: value})
        assert refused in ([], [option.name]), text
        if not refused:
            assert_one_argument(kind, option, given, value, text)


def assert_one_argument(kind: ActionKind, option: Option, given: dict[str, Any], value: Any, text: str) -> None:
    (step,) = (step for step in kind.steps if option in step.options)
    (usual,) = step.make_argvs("a000", given | {option.name: option.example})
    (hostile,) = step.make_argvs("a000", given | {option.name: value})
    changed = [pair for pair in zip(usual, hostile, strict=True) if pair[0] != pair[1]]
    if option.is_filter or option.names_program:  # it chooses jobs or a program, and reaches no command itself
        assert changed == [], text
        return
    assert changed == [(option.make_elements(option.example)[0], option.make_elements(value)[0])], text
    takes_no_options = "--" in hostile[: hostile.index(changed[0][1])] or step.script
    assert option.flag or takes_no_options or not text.startswith("-"), text


def test_a_reason_stays_text(as_manager: APIClient, experiment: Experiment) -> None:
    plain = as_manager.post(f"{RUN}&dry_run=true").json()["command"]
    for text in CORPUS:
        Action.objects.all().delete()
        answer = ask(as_manager, "POST", RUN, {"reason": text})
        action = Action.objects.first()
        if action is None:
            assert list(answer.json()["errors"]) == ["reason"]
            continue
        assert (action.reason, action.command) == (text.strip(), plain)
        recorded = AuditEntry.objects.filter(event="action.requested").latest("pk").message
        assert recorded == mask_text(text.strip())


# --- All parameters and bodies of the document


@dataclass(frozen=True)
class Operation:
    """An operation of the document."""

    path: str
    method: str
    described: dict[str, Any]


def operations() -> list[Any]:
    return [
        pytest.param(Operation(path, method, described), id=f"{method} {path}")
        for path, methods in document()["paths"].items()
        for method, described in methods.items()
    ]


def fields_of(described: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield where each field of an operation stands, and its name."""
    for parameter in described.get("parameters", []):
        yield parameter["in"], parameter["name"]
    body = described.get("requestBody", {}).get("content", {}).get("application/json")
    for name in _properties(body["schema"]) if body else ():
        yield "body", name


def _properties(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        return _properties(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    inner = (_properties(each) for key in ("anyOf", "oneOf", "allOf") for each in schema.get(key, []))
    return set(schema.get("properties", {})).union(*inner)


def send(client: APIClient, operation: Operation, field: tuple[str, str], text: str) -> Any:
    """Send the request with `text` in one of its fields and something plausible in the others."""
    path, query, headers = operation.path, {}, {}
    for parameter in operation.described.get("parameters", []):
        where, key = parameter["in"], parameter["name"]
        value = text if (where, key) == field else _plausible(parameter)
        if where == "path":
            path = path.replace(f"{{{key}}}", quote(value.encode(errors="replace"), safe=""))
        elif where == "query" and (parameter.get("required") or key == field[1]):
            query[key] = value.encode(errors="replace")
        elif where == "header" and key == field[1]:
            headers[key] = value
    body = {field[1]: text} if field[0] == "body" else {}
    return ask(client, operation.method.upper(), f"{path}?{urlencode(query)}", body, **headers)


def _plausible(parameter: dict[str, Any]) -> str:
    shown = parameter.get("examples") or {}
    first = next((example["value"] for example in shown.values()), None)
    return str(first if first is not None else (parameter["schema"].get("enum") or ["1"])[0])


def gives_away(answer: Any) -> bool:
    """Answer whether the headers have what was sent, or the body is a page."""
    headers = "".join(f"{name}{value}" for name, value in answer.items() if name != "Location")
    return "pwned" in headers.lower() or "text/html" in answer.get("Content-Type", "")


@pytest.mark.parametrize("operation", operations())
def test_hostile_text_in_any_field_of_a_route_has_no_effect_outside_of_it(
    as_manager: APIClient, experiment: Experiment, operation: Operation
) -> None:
    factories.create_run(experiment, run_id=1)
    before = everything_else()
    for field in fields_of(operation.described):
        for text in DENSE:
            answer = send(as_manager, operation, field, text)
            assert answer.status_code != 500, (field, text)
            assert not gives_away(answer), (field, text)
    assert everything_else() == before


# --- What is handed out


@pytest.mark.parametrize("text", [*FORMULA, *HEADER])
def test_no_cell_of_the_exported_trail_is_a_formula_or_another_line(as_manager: APIClient, text: str) -> None:
    origin = Origin(door=Door.API, actor_name=text)
    texts: dict[str, Any] = dict.fromkeys(("subject", "site", "expid", "kind", "message"), text)
    trail.record("x.hostile", origin=origin, details={text: text}, **texts)
    answer = as_manager.get("/v4/audit?event=x.hostile&format=csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer).decode(), newline="")))
    assert len(rows) == 2
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in rows[1])
