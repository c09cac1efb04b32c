"""The page with the configuration of an experiment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from autosubmit_portal.console.pages import configuration
from experiments.models import Experiment, Site
from tests.console.pages import page_of, text_of
from tests.support import factories
from tests.support.configured import make_store, write

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

RUNS: dict[int, Any] = {
    1: {"EXPERIMENT": {"MEMBERS": "fc0", "CHUNKSIZE": "6"}, "OLD": 1, "PLATFORMS": {"MN5": {"API_TOKEN": "hunter1"}}},
    2: "",
}  # fmt: skip


@pytest.fixture
def site(db: None, tmp_path: Path) -> Site:
    """A site with a store."""
    make_store(tmp_path, runs=RUNS)
    return factories.create_site(slug="local", name="Local", is_default=True, home=str(tmp_path))


def address(experiment: Experiment, query: str = "") -> str:
    return reverse("admin:experiments_experiment_configuration", args=[experiment]) + query


def test_a_viewer_sees_the_files_as_a_tree(as_viewer: Client, experiment: Experiment) -> None:
    page = text_of(as_viewer.get(address(experiment)))
    assert '<span class="key">SIM</span> <span class="quiet">5</span>' in page
    assert '<span class="key">FILE</span> <span class="value">sim.sh</span>' in page
    assert "<li>proj/model/as_conf/jobs.yml</li>" in page


def test_a_viewer_sees_no_secret(as_viewer: Client, experiment: Experiment) -> None:
    for query in ("", "?run=1"):
        page = text_of(as_viewer.get(address(experiment, query)))
        assert "hunter" not in page
        assert "********" in page


def test_a_viewer_sees_what_has_changed_since_a_run(as_viewer: Client, experiment: Experiment) -> None:
    context = as_viewer.get(address(experiment, "?run=1")).context
    changes = {change.name: (change.change, change.old, change.new) for change in context["changes"]}
    assert changes["EXPERIMENT.CHUNKSIZE"] == ("changed", "&quot;6&quot;", "4")
    assert changes["OLD"] == ("removed", "1", "")
    assert changes["JOBS.SIM.FILE"] == ("added", "", "sim.sh")
    assert changes["PLATFORMS.MN5.API_TOKEN"][0] == "changed"
    assert "EXPERIMENT.MEMBERS" not in changes


def test_a_run_without_a_configuration_is_not_compared(as_viewer: Client, experiment: Experiment) -> None:
    page = text_of(as_viewer.get(address(experiment, "?run=2")))
    assert "kept no configuration of this run" in page
    assert "difference" not in page


def test_the_runs_are_offered_newest_first(as_viewer: Client, experiment: Experiment) -> None:
    for run_id in (1, 2):
        factories.create_run(experiment, run_id=run_id)
    page = text_of(as_viewer.get(address(experiment, "?run=2")))
    assert page.index('<option value="2" selected>') < page.index('<option value="1">')


@pytest.mark.parametrize(
    ("query", "told"), [("?run=9999", "a000 has no run 9999"), ("?run=x", "MEMBERS"), ("?run=" + "9" * 30, "MEMBERS")]
)
def test_a_run_that_never_was_is_told(as_viewer: Client, experiment: Experiment, query: str, told: str) -> None:
    response = as_viewer.get(address(experiment, query))
    assert (response.status_code, told in text_of(response)) == (200, True)


def test_a_broken_file_is_named(as_viewer: Client, experiment: Experiment, tmp_path: Path) -> None:
    write(tmp_path / "a000", {"conf/jobs_a000.yml": "A: 1\nJOBS: }\n"})
    page = text_of(as_viewer.get(address(experiment)))
    assert "conf/jobs_a000.yml cannot be read: line 2" in page


def test_a_file_outside_is_listed_as_left_out(as_viewer: Client, experiment: Experiment, tmp_path: Path) -> None:
    write(tmp_path / "a000", {"conf/z.yml": "DEFAULT: {CUSTOM_CONFIG: /etc/passwd}\n"})
    assert "/etc/passwd is outside of the folder of a000" in text_of(as_viewer.get(address(experiment)))


def test_what_files_say_is_never_markup(as_viewer: Client, experiment: Experiment, tmp_path: Path) -> None:
    text = "'<img src=x onerror=alert(1)>': '<script>alert(2)</script>'\nL: ['<b>', [<i>]]\n"
    write(tmp_path / "a000", {"conf/z.yml": text})
    for query in ("", "?run=1"):
        page = text_of(as_viewer.get(address(experiment, query)))
        assert "&lt;script&gt;alert(2)" in page
        assert not any(markup in page for markup in ("<img src=x", "<script>alert", "<b>]", "<i>"))


def test_a_long_configuration_is_cut(
    as_viewer: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "MOST_VALUES", 3)
    monkeypatch.setattr(configuration, "MOST_DIFFERENCES", 2)
    page = text_of(as_viewer.get(address(experiment, "?run=1")))
    assert "The first 3 values are shown" in page
    assert "The first 2 are shown" in page


def test_the_pages_of_experiment_and_run_lead_there(as_viewer: Client, experiment: Experiment) -> None:
    run = factories.create_run(experiment)
    assert address(experiment) in text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
    page = text_of(as_viewer.get(page_of("experiments_run", run.pk)))
    assert address(experiment, f"?run={run.run_id}") in page


def test_who_may_not_see_experiments_sees_no_configuration(
    signed_in: Callable[[User], Client], actor: Callable[..., User], experiment: Experiment
) -> None:
    assert signed_in(actor()).get(address(experiment)).status_code in (302, 403)


def test_an_experiment_that_is_not_there_is_not_found(as_viewer: Client, site: Site) -> None:
    assert as_viewer.get("/experiments/~999/configuration/").status_code == 404


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("sim.sh", "sim.sh"), ("20", "&quot;20&quot;"), (20, "20"), ("true", "&quot;true&quot;"), (True, "true"),
        ("", "&quot;&quot;"), (None, "null"), ("48:00", "&quot;48:00&quot;"), ([], "[]"), (["a", 1], "[a, 1]"),
    ],
)  # fmt: skip
def test_a_text_is_told_from_a_number(value: Any, text: str) -> None:
    assert text in configuration.show_value(value)
