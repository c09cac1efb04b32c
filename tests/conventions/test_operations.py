"""`docs/operations.md` against the product."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from autosubmit_portal import health, metrics
from autosubmit_portal.agent.site_file import read_site_file
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import State
from tests.support import factories
from tests.support.documented_commands import read_block

DOCS = settings.BASE_DIR / "docs"


def page() -> str:
    return (DOCS / "operations.md").read_text(encoding="utf-8")


@pytest.mark.django_db
def test_the_page_names_every_metric_and_no_other() -> None:
    experiment = factories.create_experiment()
    factories.create_action(experiment, state=State.SUCCEEDED)
    factories.create_worker()
    text = metrics.write_metrics("text/plain")[0].decode()
    told = {f.name + ("_info" if f.type == "info" else "") for f in text_string_to_metric_families(text)}
    texts = page() + (DOCS / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"autosubmit_portal_[a-z_]+(?=[`\s{])", texts)) == told


def test_the_page_names_every_part_of_the_health() -> None:
    rows = re.findall(r"^\| (\w+) \|.*\|.*\|$", page().partition("| part |")[2], re.MULTILINE)
    assert rows[: len(health.CHECKS)] == list(health.CHECKS)


@pytest.mark.parametrize("name", ["timeout", "retry", "queue_limit", "max_attempts", "save_limit", "poll"])
def test_the_page_tells_the_values_of_the_queue(name: str) -> None:
    value = str(settings.Q_CLUSTER[name]).replace("-", "−")
    titles = {"poll": "PORTAL_POLL_SECONDS"}
    assert re.search(rf"^\| [^|]*`{titles.get(name, name)}`[^|]*\| {value}\b", page(), re.MULTILINE)


def test_the_page_shows_a_file_of_a_site_with_all_that_the_catalogue_starts(tmp_path: Path) -> None:
    (text,) = (text for text in re.findall(r"```json\n(.*?)```", page(), re.DOTALL) if '"kinds"' in text)
    (tmp_path / "agent.json").write_text(text)
    assert read_site_file(tmp_path / "agent.json").kinds == {
        kind.name: frozenset(kind.first_words) for kind in CATALOGUE.values()
    }
    assert list(json.loads(text)["kinds"]) == list(CATALOGUE)


def test_the_page_starts_again_what_it_stops() -> None:
    units = {"gateway", "web", "worker@portal", "mirror"}
    for block in ("after-restore", "upgrade"):
        lines = re.findall(r"^systemctl start ([^#\n]+)", read_block("operations.md", block), re.MULTILINE)
        assert {name.removeprefix("autosubmit-portal-") for line in lines for name in line.split()} == units


@pytest.mark.parametrize("name", ["as-portal", "walls", "upgrade", "after-restore", "backup-postgresql"])
def test_a_shell_understands_the_commands_of_the_page(name: str) -> None:
    subprocess.run(["sh", "-n"], input=read_block("operations.md", name), text=True, check=True)


def test_the_files_that_the_page_installs_for_walls_are_there() -> None:
    named = re.findall(r"(?<= )systemd/\S+", read_block("operations.md", "walls"))
    assert named
    assert [file for file in named if not (DOCS / file).is_file()] == []


@pytest.mark.parametrize("file", ["operations.md", "sign-in.md"])
def test_settings_that_are_shown_mean_the_same_to_a_shell_and_to_systemd(file: str) -> None:
    lines = re.findall(r"^PORTAL_\w+=.*$", (DOCS / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    assert [line for line in lines if len(shlex.split(line)) != 1] == []
