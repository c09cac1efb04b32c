"""Promises that every action kind keeps."""

import json
import subprocess
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission

from autosubmit_portal.access.roles import Role
from experiments.actions.parameters import make_serializer
from experiments.actions.validation import validate_parameters
from experiments.autosubmit.command import Command, Option, OptionType
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.models import Experiment
from tests.support.kinds import commands_of

kinds = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
OPTIONS = [(kind, option) for kind in CATALOGUE.values() for option in kind.options]
# That of the twins that a dry run makes is set by no entry.
FIELDS = [field for field in fields(ActionKind) if field.name != "is_dry_run"]
options = pytest.mark.parametrize(("kind", "option"), OPTIONS, ids=[f"{k.name}-{o.name}" for k, o in OPTIONS])

PARSE = """
import json, sys
from autosubmit.autosubmit import Autosubmit
for argv in json.load(sys.stdin):
    sys.argv = ["autosubmit", *argv]
    status, arguments = Autosubmit.parse_args()
    print(json.dumps([status, str(arguments)]))
"""


def example_of(option: Option) -> Any:
    if option.type is OptionType.FLAG:
        return True
    return option.example if option.example is not None else option.choices[0]


@kinds
def test_a_kind_is_explained(kind: ActionKind) -> None:
    assert kind.title
    assert kind.help.endswith((".", ")"))


@pytest.mark.parametrize(
    "field", [field for field in fields(ActionKind) if field.name != "is_dry_run"], ids=lambda field: field.name
)
def test_a_field_of_an_entry_is_for_more_than_one_kind(field: Field[Any]) -> None:
    using = [kind for kind in CATALOGUE.values() if getattr(kind, field.name) != field.default]
    assert len(using) > 1, "what one kind needs stands with what it is about, as `on_run` does"


@options
def test_an_option_is_explained(kind: ActionKind, option: Option) -> None:
    assert option.help.endswith(".")


@options
def test_the_example_of_an_option_is_valid(kind: ActionKind, option: Option) -> None:
    field = make_serializer(kind)().fields[option.name]
    assert field.run_validation(example_of(option)) == example_of(option)


@kinds
@pytest.mark.django_db
def test_a_kind_has_its_permission_held_from_its_least_role_upwards(kind: ActionKind) -> None:
    permission = Permission.objects.get(content_type__app_label="experiments", codename=kind.permission)
    holders = set(Group.objects.filter(permissions=permission).values_list("name", flat=True))
    assert holders == {role.title for role in Role if role >= kind.role}


@kinds
def test_what_changes_jobs_refuses_a_running_experiment(kind: ActionKind) -> None:
    running: Any = Experiment(expid="a000", is_running=True, total_jobs=1)
    assert kind.target is Target.SITE or kind.may_overtake or kind.find_obstacle(running)


@kinds
def test_the_dry_run_of_autosubmit_saves_nothing(kind: ActionKind) -> None:
    if kind.has_dry_run:
        assert kind.preview, "what it reports is read with the preview"
        assert all("--save" not in argv for argv in command_lines(kind.as_dry_run))
    assert kind.has_dry_run == any("--save" in argv for argv in command_lines(kind))


@pytest.mark.autosubmit
def test_autosubmits_own_parser_accepts_every_command_line(autosubmit: Path) -> None:
    own = [kind for kind in CATALOGUE.values() if not any(step.script for step in kind.steps)]
    dry = [kind.as_dry_run for kind in own if kind.has_dry_run]
    argvs = [argv for kind in [*own, *dry] for argv in command_lines(kind)]
    python = autosubmit.parent / "python"
    done = subprocess.run([python, "-c", PARSE], input=json.dumps(argvs), capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    refused = [argv for argv, (status, _) in zip(argvs, answers, strict=True) if status != 0]
    assert refused == []


SCRIPTS = [(kind, step) for kind in CATALOGUE.values() for step in kind.steps if step.script]
scripts = pytest.mark.parametrize(("kind", "step"), SCRIPTS, ids=[kind.name for kind, _ in SCRIPTS])


@scripts
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_script_is_shell_that_can_be_read(kind: ActionKind, step: Command, shell: str) -> None:
    done = subprocess.run([shell, "-n"], input=step.script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@scripts
def test_a_script_is_the_same_whatever_the_parameters_are(kind: ActionKind, step: Command) -> None:
    assert step.make_program("/opt/autosubmit") == ["/bin/sh", "-c", step.script]
    for argv in command_lines(kind):
        assert not any(word and word in step.script for word in argv[1:])


@scripts
@pytest.mark.parametrize("construct", ["eval", "source", "sh -c", "`", "%b"])
def test_a_script_never_reads_its_arguments_as_shell(kind: ActionKind, step: Command, construct: str) -> None:
    assert construct not in step.script


@scripts
def test_a_script_gets_each_parameter_as_one_argument(kind: ActionKind, step: Command) -> None:
    given = {option.name: example_of(option) for option in kind.options}
    elements = [element for option in kind.options for element in option.make_elements(given[option.name])]
    assert step.make_argvs("a000", given) == [[step.name, "a000", *elements]]


def command_lines(kind: ActionKind) -> list[list[str]]:
    """The command with its required options, and once more with each further option."""
    required = {option.name: example_of(option) for option in kind.options if option.required}
    sets = [required] + [required | {option.name: example_of(option)} for option in kind.options]
    return [argv for parameters in sets for argv in commands_of(kind, "a000", parameters)]


@pytest.mark.parametrize(
    "text", ["-x", "--help", "$(touch x)", "`id`", "quotes \" and '", "two\nlines", "🌍 é", "a;b|c&d"]
)
def test_a_description_is_one_element_of_the_command(text: str) -> None:
    parameters = validate_parameters(CATALOGUE["create"], {"description": text})
    assert commands_of(CATALOGUE["create"], "", parameters) == [["expid", f"--description={text}"]]
