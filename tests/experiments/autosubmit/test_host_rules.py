"""Which commands a host may run: what we refuse is what Autosubmit refuses, with exit status 159, and nothing else."""

import platform
from configparser import ConfigParser
from pathlib import Path

import pytest

from experiments.autosubmit.host_rules import BadRules, list_refused
from experiments.autosubmit.store import read_rc
from tests.support.services import ForkedAutosubmit

REFUSED_BY_AUTOSUBMIT = 159
# Of each rule the commands that a host of the name {node} refuses.
RULES = {
    "": [],
    "authorized = [run {node},other] [stop,create all]\nforbidden = [create,stop {node},other]": ["create", "stop"],
    "forbidden = [run,stop all]": ["run", "stop"],
    "authorized = [run other]": ["run"],
    "authorized = [run other,{node}]": [],
    "authorized = [run other, {node}]": ["run"],
    "authorized = [run {node}.example]": ["run"],
    "forbidden = [run,stop other] [stop {node}]": ["stop"],
    "forbidden = [run {node}] [run other]": [],
    "authorized = run {node}": [],
    "authorized = [run other]\nforbidden = [create {node}]": ["create", "run"],
    "Forbidden = [run {node}]": [],
    "forbidden = [run {node}]\n  [stop {node}]": [],
}
ASKED = {"run": ("zzzz",), "stop": ("--yes", "zzzz"), "create": ("zzzz",)}


def read(text: str) -> ConfigParser:
    rc = ConfigParser()
    rc.read_string(f"[hosts]\n{text}")
    return rc


@pytest.fixture
def program(autosubmit: Path, autosubmit_home: Path, tmp_path: Path) -> ForkedAutosubmit:
    """Autosubmit with an rc file of its own, for the same store."""
    (tmp_path / ".autosubmitrc").write_text((autosubmit_home / ".autosubmitrc").read_text())
    return ForkedAutosubmit(autosubmit, tmp_path)


@pytest.mark.parametrize("rules", RULES)
def test_what_we_refuse_is_what_autosubmit_refuses(program: ForkedAutosubmit, rules: str) -> None:
    rc, text = program.home / ".autosubmitrc", rules.format(node=platform.node())
    rc.write_text(f"{rc.read_text()}\n[hosts]\n{text}\n")
    ended = {command: program._run((command, *words), str(program.home))[0] for command, words in ASKED.items()}
    refused = [command for command, status in ended.items() if status == REFUSED_BY_AUTOSUBMIT]
    assert sorted(refused) == list_refused(read_rc(program.home), platform.node()) == RULES[rules]


@pytest.mark.parametrize("rule", ["[run host1]", "[run host1.example.org]", "[run other,host1]"])
def test_a_host_has_a_short_and_a_full_name(rule: str) -> None:
    rc = read(f"authorized = {rule}\nforbidden = {rule.replace('run', 'stop')}")
    assert list_refused(rc, "host1.example.org") == ["stop"]
    assert list_refused(rc, "host12.example.org") == ["run"]


@pytest.mark.parametrize("text", ["authorized =", "forbidden = [run]", "authorized = [run %x]"])
def test_rules_that_autosubmit_cannot_read_are_told(text: str) -> None:
    with pytest.raises(BadRules, match=r"of \[hosts\]"):
        list_refused(read(text), "host1")
