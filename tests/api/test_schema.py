"""The OpenAPI document is true, whole and derived from the catalogue; its pages need nothing from outside."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Experiment
from tests.support import factories

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

DOCUMENT: dict[str, Any] = {}


def document() -> dict[str, Any]:
    if not DOCUMENT:
        DOCUMENT.update(SchemaGenerator().get_schema(request=None, public=True))
    return DOCUMENT


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield method, path, described


def errors_of(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": document()["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def test_the_document_is_valid_and_made_without_warnings(tmp_path: Any) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))
    assert yaml.safe_load((tmp_path / "schema.yaml").read_text())["openapi"].startswith("3.1")


def test_every_operation_is_explained() -> None:
    for method, path, described in operations():
        name = f"{method} {path}"
        assert described["operationId"], name
        assert described["summary"], name
        assert described["description"].strip(), name
        assert described["tags"], name
        assert all(parameter["description"] for parameter in described.get("parameters", [])), name


def test_operation_ids_are_unique() -> None:
    names = [described["operationId"] for _, _, described in operations()]
    assert len(names) == len(set(names))


def test_every_answer_is_explained_and_every_json_answer_has_an_example() -> None:
    for method, path, described in operations():
        for status, answer in described["responses"].items():
            assert answer["description"], f"{method} {path} {status}"
            content = answer.get("content", {})
            shown = content.get("application/json") or content.get("application/problem+json")
            needs_none = path == "/v4/schema" or status in ("204", "304") or "application" not in str(content)
            assert needs_none or (shown and shown["examples"]), f"{method} {path} {status}"


def test_every_operation_names_its_errors() -> None:
    for method, path, described in operations():
        wanted = {"401", "403", "406", "429"} if path != "/healthz" else set()
        wanted |= {"404"} if "{" in path else set()
        if method in ("post", "patch") and "requestBody" in described:
            wanted |= {"400", "413", "415"} if "tokens" in path else {"400", "409", "415"}
        assert described["responses"].keys() >= wanted, f"{method} {path}"


def test_every_operation_names_what_the_web_server_refuses() -> None:
    for method, path, described in operations():
        assert described["responses"].keys() >= {"414", "431"}, f"{method} {path}"


def test_an_answer_with_a_validator_may_be_known() -> None:
    for method, path, described in operations():
        has_validator = "ETag" in described["responses"].get("200", {}).get("headers", {})
        assert ("304" in described["responses"]) == has_validator, f"{method} {path}"


def test_each_route_stands_in_the_document_once() -> None:
    assert not [path for path in document()["paths"] if path.endswith("/")]


def test_examples_are_valid() -> None:
    for method, path, described in operations():
        for answer in [described.get("requestBody", {"content": {}}), *described["responses"].values()]:
            for media in answer.get("content", {}).values():
                for example in media.get("examples", {}).values():
                    assert errors_of(media["schema"], example["value"]) == [], f"{method} {path}"


def test_actions_are_derived_from_the_catalogue() -> None:
    post = document()["paths"]["/v4/experiments/{expid}"]["post"]
    action = next(parameter for parameter in post["parameters"] if parameter["name"] == "action")
    kinds = [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE and not kind.is_edit]
    assert action["schema"]["enum"] == [kind.name for kind in kinds]
    for kind in kinds:
        assert kind.help in action["description"]
        assert f"experiments.{kind.permission}" in action["description"]


def test_bodies_are_derived_from_the_options() -> None:
    schemas = document()["components"]["schemas"]
    for kind in CATALOGUE.values():
        name = "".join(word.capitalize() for word in kind.name.split("_"))
        in_address = {"status"} if kind.target is Target.JOBS and kind.is_edit else set()
        options = {option.name for option in kind.options} - in_address
        assert schemas[f"{name}Request"]["properties"].keys() == options | {"reason", "dry_run"}


def test_alternatives_may_overlap() -> None:
    body = {"$ref": "#/components/schemas/ActOnExperimentRequest"}
    assert errors_of(body, {}) == []
    assert errors_of(body, {"force": True}) == []


@pytest.mark.parametrize(
    ("path", "described"),
    [
        ("/v4", "/v4"),
        ("/v4/experiments", ""),
        ("/v4/experiments/a000", "/v4/experiments/{expid}"),
        ("/v4/experiments/a000/jobs", "/v4/experiments/{expid}/jobs"),
        ("/v4/experiments/a000/jobs?view=quick", "/v4/experiments/{expid}/jobs"),
        ("/v4/experiments/a000/jobs/a000_POST", "/v4/experiments/{expid}/jobs/{job}"),
        ("/v4/experiments/a000/jobs/a000_POST/parents", "/v4/experiments/{expid}/jobs/{job}/parents"),
        ("/v4/experiments/a000/jobs/a000_POST/children", "/v4/experiments/{expid}/jobs/{job}/children"),
        ("/v4/experiments/a000/runs", "/v4/experiments/{expid}/runs"),
        ("/v4/experiments/a000/eta", "/v4/experiments/{expid}/eta"),
        ("/v4/experiments/a000/wrappers", "/v4/experiments/{expid}/wrappers"),
        ("/v4/actions", ""),
        ("/v4/actions/ACTION", "/v4/actions/{action_id}"),
        ("/v4/actions/ACTION/output?format=json", "/v4/actions/{action_id}/output"),
        ("/v4/audit", ""),
        ("/v4/audit/ENTRY", "/v4/audit/{entry_id}"),
        ("/v4/tokens", ""),
        ("/v4/auth/verify-token", ""),
        ("/v4/delegations", ""),
        ("/v4/delegations/LOAN", "/v4/delegations/{delegation_id}"),
        ("/v4/freezes", ""),
        ("/v4/freezes/FREEZE", "/v4/freezes/{freeze_id}"),
        ("/v4/sites", ""),
        ("/v4/sites/local", "/v4/sites/{slug}"),
        ("/healthz", ""),
    ],
)
def test_what_is_answered_is_what_is_described(
    as_manager: APIClient, experiment: Experiment, path: str, described: str
) -> None:
    factories.create_run(experiment)
    action = factories.create_action(experiment, command=[["autosubmit", "run", "a000"]])
    entry = AuditEntry.objects.create(event="x", door="api")
    freeze = factories.create_freeze(experiment.site)
    loan = factories.create_delegation(factories.create_user(), factories.create_user())
    made = {"LOAN": loan.pk, "ACTION": action.pk, "ENTRY": entry.pk, "FREEZE": freeze.pk}
    for name, number in made.items():
        path = path.replace(name, str(number))
    answer = as_manager.get(path)
    told = document()["paths"][described or path]["get"]["responses"][str(answer.status_code)]
    schema = told["content"]["application/json"]["schema"]
    assert errors_of(schema, answer.json()) == []
    assert errors_of(schema, {}) != []


@pytest.mark.parametrize("query", ["", "&dry_run=true"])
def test_an_accepted_action_is_as_described(as_operator: APIClient, experiment: Experiment, query: str) -> None:
    answer = as_operator.post(f"/v4/experiments/a000?action=run{query}")
    told = document()["paths"]["/v4/experiments/{expid}"]["post"]["responses"][str(answer.status_code)]
    assert errors_of(told["content"]["application/json"]["schema"], answer.json()) == []


@pytest.mark.parametrize("path", ["/v4/experiments/a0zz", "/v4/experiments?page=0", "/v4/audit"])
def test_a_problem_is_as_described(as_viewer: APIClient, experiment: Experiment, path: str) -> None:
    answer = as_viewer.get(path)
    assert answer.status_code in (400, 403, 404)
    assert errors_of({"$ref": "#/components/schemas/Problem"}, answer.json()) == []


def test_the_document_is_json_unless_yaml_is_wanted(as_viewer: APIClient) -> None:
    assert as_viewer.get("/v4/schema").json()["openapi"] == "3.1.1"
    assert yaml.safe_load(as_viewer.get("/v4/schema?format=yaml").content)["openapi"] == "3.1.1"


def test_all_ways_to_sign_in_are_described() -> None:
    schemes = document()["components"]["securitySchemes"]
    assert schemes.keys() == {"bearer", "token", "singleSignOn", "cookieAuth"}
    assert schemes["singleSignOn"]["bearerFormat"] == "JWT"


def test_the_pages_need_nothing_from_outside(client: Client, viewer: User) -> None:
    client.force_login(viewer)
    page, script = client.get("/v4/docs"), client.get("/v4/docs?script=")
    assert (page.status_code, script.status_code) == (200, 200)
    text = page.content.decode() + script.content.decode()
    assert re.findall(r"https?://[^\"' ]+", text) == []
    assert '"validatorUrl": null' in text
    sources = re.findall(r'(?:src|href)="/static/([^"]+)"', text)
    assert len(sources) == 5
    assert all(finders.find(source) for source in sources)


def test_the_index_leads_to_every_list(as_manager: APIClient, experiment: Experiment) -> None:
    addresses = as_manager.get("/v4").json()
    assert {as_manager.get(address).status_code for name, address in addresses.items() if name != "health"} == {200}


@pytest.mark.parametrize("path", ["/v4", "/v4/experiments", "/v4/experiments/a000", "/v4/actions", "/v4/sites"])
def test_a_browser_gets_pages(client: Client, viewer: User, experiment: Experiment, path: str) -> None:
    client.force_login(viewer)
    answer = client.get(path, HTTP_ACCEPT="text/html,*/*;q=0.8")
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    page = answer.content.decode()
    assert "Autosubmit Portal" in page
    assert "Django REST framework" not in page
    assert page.count(">Index</a>") <= 1
    assert 'data-method="PATCH"' not in page
