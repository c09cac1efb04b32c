"""The chart: what Helm makes of it, what Kubernetes would say, and what the programs of the images read of it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import helm_python
import pytest
from django.conf import settings
from helm_python import HelmError
from kubernetes_validate.utils import ValidationError, validate

from autosubmit_portal import __version__
from autosubmit_portal.agent.site_file import read_site_file
from autosubmit_portal.gateway.hosts import read_hosts
from experiments.catalogue.kinds import CATALOGUE
from tests.deploy import chart
from tests.support.containerfile import read_stages

WHOLE = chart.render(replicas=3)
CONTAINERS = chart.list_containers(WHOLE)
SECRETS: dict[str, Any] = {
    "existingSecret": "",
    "secret": {"PORTAL_DATABASE_URL": "postgres://portal:secret@db/portal"},
}
PODS = {
    image: WHOLE["StatefulSet", name]["spec"]["template"]
    for image, name in {"portal": "demo-portal", "agent": "demo-portal-agent"}.items()
}
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
        ({"gateway": {"hosts": {"other": [64 * "a"]}}}, 'gateway.hosts has no "autosubmit"'),
        ({"gateway": {"hosts": {"autosubmit": ["<the digest>"]}}}, "/gateway/hosts/autosubmit/0"),
        ({"settings": {"PORTAL_PATH": "/x/"}}, "PORTAL_PATH"),
        ({"secret": {"PORTAL_AUDIT_KEY": "x"}}, "existingSecret and secret exclude each other"),
    ],
)
def test_a_wrong_value_is_refused_and_named(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=re.escape(told)):
        chart.render(**values)


@pytest.mark.parametrize("given", [{"PORTAL_PASSWORD_LOGIN": "false"}, {"PORTAL_OIDC_ISSUER": "https://sso"}])
def test_other_settings_are_taken(given: dict[str, str]) -> None:
    made = chart.render(settings=given)
    assert given.items() <= made["ConfigMap", "demo-portal"]["data"].items()


def test_the_values_of_the_guide_make_what_kubernetes_knows() -> None:
    for made in chart.render(**chart.read_guide()).values():
        validate(made, "1.37", strict=True)


def test_the_other_values_of_the_guide_are_taken() -> None:
    given, other = chart.read_guide(), chart.read_other_values()
    made = chart.render(**given | other | {"image": given["image"] | other["image"]})
    data = made["ConfigMap", "demo-portal"]["data"]
    assert "PORTAL_OIDC_CLIENT_SECRET_FILE" in data
    assert json.loads(data["PORTAL_OIDC_TEAMS"])
    for one in made.values():
        validate(one, "1.37", strict=True)


def test_a_setting_of_the_user_goes_before_the_usual_one() -> None:
    data = chart.render(settings={"PORTAL_TRUSTED_PROXIES": "2"})["ConfigMap", "demo-portal"]["data"]
    assert data["PORTAL_TRUSTED_PROXIES"] == "2"


def test_images_come_from_a_registry_that_asks_who_comes() -> None:
    made = chart.render(image=chart.VALUES["image"] | {"pullSecrets": ["registry"]})
    for name in ("demo-portal", "demo-portal-agent"):
        assert made["StatefulSet", name]["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_every_process_trusts_the_authorities_that_are_given() -> None:
    made = chart.render(authorities="ours")
    file = "/etc/autosubmit-portal/authorities/ca.crt"
    data = made["ConfigMap", "demo-portal"]["data"]
    assert data["SSL_CERT_FILE"] == data["REQUESTS_CA_BUNDLE"] == file
    having = {
        name
        for name, one in chart.list_containers(made).items()
        if any(mount["mountPath"] == "/etc/autosubmit-portal/authorities" for mount in one["volumeMounts"])
    }
    assert having >= {"migrate", "web", "worker-portal", "mirror", "agent"}
    assert f"--ca-file {file}" in " ".join(chart.list_containers(made)["agent"]["args"])


@pytest.mark.parametrize("name", ["demo-portal", "demo-portal-agent"])
def test_another_version_of_the_chart_alone_replaces_no_pod(name: str, tmp_path: Path) -> None:
    other = shutil.copytree(chart.FOLDER, tmp_path / "chart")
    about = other / "Chart.yaml"
    about.write_text(about.read_text().replace(f"\nversion: {__version__}", "\nversion: 99.0.0"))
    made = chart.render(folder=other)["StatefulSet", name]
    assert made["metadata"]["labels"]["helm.sh/chart"] == "autosubmit-portal-99.0.0"
    assert made["spec"]["template"] == chart.render()["StatefulSet", name]["spec"]["template"]


def test_another_file_of_the_site_replaces_the_pod_of_the_agent() -> None:
    agent = chart.VALUES["agent"] | {"site": {"umask": "0002"}}
    made = chart.render(replicas=3, agent=agent)["StatefulSet", "demo-portal-agent"]["spec"]["template"]
    assert made["metadata"]["annotations"] != PODS["agent"]["metadata"]["annotations"]


def test_another_secret_of_the_release_replaces_the_pod_of_the_portal() -> None:
    texts = [
        json.dumps(chart.render(**SECRETS | {"secret": {"PORTAL_DATABASE_URL": url}})["StatefulSet", "demo-portal"])
        for url in ("postgres://portal:old@db/portal", "postgres://portal:new@db/portal")
    ]
    assert len(set(texts)) == 2


def test_the_configuration_may_name_people_who_have_no_account_yet() -> None:
    assert "--skip-missing" in CONTAINERS["configure"]["args"]


def test_there_are_as_many_web_processes_as_the_setting_says() -> None:
    made = chart.list_containers(chart.render(settings={"PORTAL_WEB_PROCESSES": "4"}))["web"]
    assert made["env"] == [{"name": "WEB_CONCURRENCY", "value": "4"}]
    assert "--workers" not in read_stages()["portal"].find("CMD")[0].words


@containers
def test_a_container_may_do_no_more_than_the_restricted_profile_allows(container: dict[str, Any]) -> None:
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("image", ["portal", "agent"])
def test_a_pod_has_a_number_for_its_account_and_no_token_of_the_cluster(image: str) -> None:
    pod, stage = PODS[image]["spec"], read_stages()[image]
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
    made = chart.render(**SECRETS | {"secret": SECRETS["secret"] | {"PORTAL_OIDC_CLIENT_SECRET": "x"}})
    assert "PORTAL_OIDC_CLIENT_SECRET_FILE" in made["ConfigMap", "demo-portal"]["data"]
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


def _list_ports(objects: chart.Objects, name: str) -> list[int | str]:
    (rule,) = objects["NetworkPolicy", name]["spec"]["egress"]
    return [one["port"] for one in rule["ports"] if one["port"] != 53]


def test_policies_let_what_the_values_name_through() -> None:
    assert _list_ports(WHOLE, "demo-portal") == [5432, 443]
    made = chart.render(networkPolicy={"databasePort": 6432, "portalPorts": [443, 6379]})
    assert _list_ports(made, "demo-portal") == [6432, 443, 6379]


def test_an_agent_without_tls_reaches_the_ingress() -> None:
    assert _list_ports(WHOLE, "demo-portal-agent") == [22, 443]
    assert _list_ports(chart.render(ingress={"tls": False}), "demo-portal-agent") == [22, 443, 80]


def test_never_two_agents_have_the_experiments() -> None:
    """A Deployment would start a second pod while a deleted one still ends."""
    assert not [name for kind, name in WHOLE if kind == "Deployment"]
    assert WHOLE["StatefulSet", "demo-portal-agent"]["spec"]["replicas"] == 1


def test_selectors_of_policies_services_and_budgets_meet_their_pods() -> None:
    labels = WHOLE["StatefulSet", "demo-portal"]["spec"]["template"]["metadata"]["labels"]
    assert WHOLE["NetworkPolicy", "demo-portal"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert WHOLE["Service", "demo-portal"]["spec"]["selector"].items() <= labels.items()
    assert WHOLE["PodDisruptionBudget", "demo-portal"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_chart_has_the_version_of_the_portal() -> None:
    with helm_python.Chart.load(chart.FOLDER) as loaded:
        assert loaded.metadata["appVersion"] == __version__
