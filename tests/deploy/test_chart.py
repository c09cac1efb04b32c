"""The chart: what Helm makes of it, what Kubernetes would say, and what the programs of the images read of it."""

import json
import re
from pathlib import Path
from typing import Any

import helm_python
import pytest
from django.conf import settings
from helm_python import HelmError
from kubernetes_validate.utils import ValidationError, validate

from autosubmit_portal.agent.site_file import read_site_file
from autosubmit_portal.gateway.hosts import read_hosts
from experiments.catalogue.kinds import CATALOGUE
from tests.deploy import chart
from tests.support.containerfile import read_stages

WHOLE = chart.render(replicas=3)
CONTAINERS = chart.list_containers(WHOLE)
SECRETS = {"existingSecret": "", "secret": {"PORTAL_DATABASE_URL": "postgres://portal:secret@db/portal"}}
containers = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


def test_helm_has_nothing_to_say() -> None:
    found = helm_python.lint(chart.FOLDER, chart.VALUES, strict=True)
    assert found["errors"] == []
    assert [one for one in found["messages"] if "icon" not in one["error"]] == []


@pytest.mark.parametrize("version", ["1.25", "1.37"])
@pytest.mark.parametrize("objects", [WHOLE, chart.render(**SECRETS, agent={}, path="/")], ids=["whole", "least"])
def test_kubernetes_knows_every_field(objects: chart.Objects, version: str) -> None:
    for made in objects.values():
        validate(made, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_found() -> None:
    made = json.loads(json.dumps(WHOLE["Service", "demo-portal"]))
    made["spec"]["prots"] = made["spec"].pop("ports")
    with pytest.raises(ValidationError, match="prots"):
        validate(made, "1.37", strict=True)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"image": {"portal": "registry.example.org/portal:latest"}}, "/image/portal"),
        ({"image": {"portal": "registry.example.org/portal"}}, "/image/portal"),
        ({"path": "/portal"}, "/path"),
        ({"path": "portal/"}, "/path"),
        ({"hostname": "https://portal.example.org"}, "/hostname"),
        ({"settings": {"PORTAL_SECRET_KEY": "x"}}, "PORTAL_SECRET_KEY"),
        ({"settings": {"DEBUG": "x"}}, "DEBUG"),
        ({"gateway": {"hosts": {"autosubmit": ["a token"]}}}, "/gateway/hosts/autosubmit/0"),
        ({"replicas": 0}, "/replicas"),
        ({"replica": 2}, "replica"),
        ({"secretSettings": ["PORTAL_SECRET_KEY"]}, "/secretSettings"),
        ({"existingSecret": ""}, "secret.PORTAL_DATABASE_URL is missing"),
        ({"agent": {"enabled": True}}, "agent.tokenSecret is missing"),
    ],
)
def test_a_wrong_value_is_refused_and_named(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=re.escape(told)):
        chart.render(**values)


@pytest.mark.parametrize("given", [{"PORTAL_PASSWORD_LOGIN": "false"}, {"PORTAL_OIDC_ISSUER": "https://sso"}])
def test_other_settings_are_taken(given: dict[str, str]) -> None:
    made = chart.render(settings=given)
    assert given.items() <= made["ConfigMap", "demo-portal"]["data"].items()


@containers
def test_a_container_may_do_no_more_than_the_restricted_profile_allows(container: dict[str, Any]) -> None:
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_a_pod_has_a_number_for_its_account_and_no_token_of_the_cluster(kind: str) -> None:
    (pod,) = (made["spec"]["template"]["spec"] for (one, _), made in WHOLE.items() if one == kind)
    stage = read_stages()["portal" if kind == "StatefulSet" else "agent"]
    user = pod["securityContext"]["runAsUser"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert stage.find("USER")[0].text == f"{user}:{pod['securityContext']['runAsGroup']}"
    assert not pod["automountServiceAccountToken"]


def test_only_workers_reach_the_socket_for_acting() -> None:
    mounts = {name: {one["name"] for one in made.get("volumeMounts", ())} for name, made in CONTAINERS.items()}
    assert {name for name, has in mounts.items() if "actors" in has} == {"worker-portal", "gateway"}


def test_the_gateway_has_no_secret_and_no_setting_of_the_portal() -> None:
    gateway = CONTAINERS["gateway"]
    assert "env" not in gateway
    assert "envFrom" not in gateway
    assert {one["name"] for one in gateway["volumeMounts"]} == {"files", "readers", "actors"}
    assert gateway["securityContext"]["runAsUser"] != 10001


def test_secrets_are_files() -> None:
    made = chart.render(**SECRETS)
    data = made["ConfigMap", "demo-portal"]["data"]
    assert data["PORTAL_DATABASE_URL_FILE"] == "/etc/autosubmit-portal/secrets/PORTAL_DATABASE_URL"
    assert "postgres://" not in json.dumps([one for (kind, _), one in made.items() if kind != "Secret"])


def test_a_key_is_made_where_none_is_given() -> None:
    made = chart.render(**SECRETS)["Secret", "demo-portal"]["data"]
    assert set(made) == {"PORTAL_DATABASE_URL", "PORTAL_SECRET_KEY"}
    assert made != chart.render(**SECRETS)["Secret", "demo-portal"]["data"]


def test_every_setting_of_the_chart_is_one_of_the_portal() -> None:
    known = set(re.findall(r"^#?(PORTAL_\w+)=", (settings.BASE_DIR / ".env.example").read_text(), re.MULTILINE))
    assert {name.removesuffix("_FILE") for name in WHOLE["ConfigMap", "demo-portal"]["data"]} <= known


def test_the_gateway_reads_its_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.json"
    file.write_text(WHOLE["ConfigMap", "demo-portal-files"]["data"]["gateway.json"])
    links = {one.text for one in read_stages()["portal"].find("RUN")}
    hosts = read_hosts(file)
    assert f"{hosts.reading}" == "/run/autosubmit-portal-gateway/readers/socket"
    assert "ln -s readers/socket /run/autosubmit-portal-gateway/reading" in " ".join(links)


def test_a_portal_keeps_its_name_in_spools() -> None:
    def read(objects: chart.Objects) -> str:
        return str(json.loads(objects["ConfigMap", "demo-portal-files"]["data"]["gateway.json"])["portal"])

    assert read(WHOLE) == read(chart.render(path="/"))


def test_the_agent_may_start_what_the_catalogue_has(tmp_path: Path) -> None:
    file = tmp_path / "site.json"
    file.write_text(WHOLE["ConfigMap", "demo-portal-agent"]["data"]["site.json"])
    assert read_site_file(file).kinds == {kind.name: frozenset(kind.first_words) for kind in CATALOGUE.values()}


def test_the_agent_calls_the_gateway_of_each_pod_through_the_ingress() -> None:
    called = [word for word in CONTAINERS["agent"]["args"] if word.startswith("wss://")]
    assert called == [f"wss://portal.example.org/portal/x/agent/{number}/" for number in range(3)]
    paths = WHOLE["Ingress", "demo-portal"]["spec"]["rules"][0]["http"]["paths"]
    assert [one["path"] for one in paths] == [*(f"/portal/x/agent/{number}/" for number in range(3)), "/portal/x/"]


def test_probes_ask_below_the_path_by_the_name_of_the_portal() -> None:
    asked = CONTAINERS["web"]["readinessProbe"]["httpGet"]
    assert asked["path"] == "/portal/x/healthz"
    assert asked["httpHeaders"] == [{"name": "Host", "value": "portal.example.org"}]


def test_one_pod_at_a_time_may_be_taken_away() -> None:
    assert WHOLE["PodDisruptionBudget", "demo-portal"]["spec"]["maxUnavailable"] == 1
    assert ("PodDisruptionBudget", "demo-portal") not in chart.render()  # it would stop every maintenance


def test_nobody_may_call_the_pod_of_autosubmit() -> None:
    spec = WHOLE["NetworkPolicy", "demo-portal-agent"]["spec"]
    assert spec["ingress"] == []
    assert "Ingress" in spec["policyTypes"]


def test_selectors_of_policies_services_and_budgets_meet_their_pods() -> None:
    labels = WHOLE["StatefulSet", "demo-portal"]["spec"]["template"]["metadata"]["labels"]
    assert WHOLE["NetworkPolicy", "demo-portal"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert WHOLE["Service", "demo-portal"]["spec"]["selector"].items() <= labels.items()
    assert WHOLE["PodDisruptionBudget", "demo-portal"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_chart_has_the_version_of_the_portal() -> None:
    from autosubmit_portal import __version__

    with helm_python.Chart.load(chart.FOLDER) as loaded:
        assert loaded.metadata["appVersion"] == __version__
