"""The one builder of Autosubmit command lines: an argv is constant words, the expid and validated options.

No value ever passes through a shell. Each option with a flag is one `--flag=value` element, so that a value that
begins with `-` stays a value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from autosubmit_portal.sentences import marked
from experiments.autosubmit.output import ReadOutcome, read_as_dry_run, read_outcome
from experiments.autosubmit.ways import Question

if TYPE_CHECKING:
    from jobs.workflow import Workflow

# Linux takes at most 131,071 bytes in one argument (MAX_ARG_STRLEN); longer lists become several commands.
LONGEST_LIST_BYTES = 100_000

Choice = tuple[list[str], list[str]]
"""The names of the jobs, and doubts about the choice."""


class Word(Enum):
    """A place in a command line that is filled in when the command is built."""

    EXPID = "expid"


class OptionType(Enum):
    """What kind of value an option takes."""

    TEXT = "text"
    LONG_TEXT = "long text"
    FLAG = "flag"
    CHOICE = "choice"
    LIST = "list"


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One parameter of an action and how the command line says it.

    `flag` is empty for a positional argument. `pattern` is a regular expression that the whole value, or each item
    of a list, must match; `pattern_help` says in words what it allows. `max_bytes` counts UTF-8. `separator` joins the
    items of a list. `choose` finds the jobs that a value means, for the alternative ways to say that; `is_filter` marks
    those that the portal itself replaces by the names of the jobs, which therefore never stand on a command line.
    `is_expid` marks the name of another experiment, `names_platform` that of a platform; `names_program` that of the
    program itself, in place of the usual.
    """

    name: str
    help: str
    type: OptionType = OptionType.TEXT
    flag: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    pattern_help: str = ""
    max_bytes: int = 200
    separator: str = " "
    example: Any = None
    choose: "Callable[[Workflow, Any], Choice] | None" = None
    is_filter: bool = False
    is_expid: bool = False
    names_program: bool = False
    names_platform: bool = False

    def make_elements(self, value: Any) -> list[str]:
        """Return the argv elements that say `value`."""
        if self.names_program:
            return []
        if self.type is OptionType.FLAG:
            return [self.flag] if value else []
        text = self.separator.join(value) if self.type is OptionType.LIST else str(value)
        return [f"{self.flag}={text}"] if self.flag else [text]


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One Autosubmit command: its words, its options, what its end means, and whether it may last for months.

    `questions` are what forms ask in place of options that belong together. `outcome` reads from its exit status and
    from what it printed what has become of it.
    `saving` are the words that make it keep what it does: without them it is its own dry run. `script` is run by a
    shell instead of Autosubmit, for the few things that Autosubmit documents but has no command for; the words are
    arguments of the script, its name first.
    A command that is not long is ended when it takes more than `time_limit` seconds; the slowest that were seen take
    minutes on ten thousand jobs. `overdue_help` tells the operator what to do then. `is_apart` marks what uses nothing
    that a run or another command uses.
    """

    words: tuple[str | Word, ...]
    options: tuple[Option, ...] = ()
    questions: tuple[Question, ...] = ()
    outcome: ReadOutcome = read_outcome
    saving: tuple[str, ...] = ()
    script: str = ""
    is_long: bool = False
    time_limit: int = 1800
    overdue_help: str = marked("Look at its output, then try again.")
    is_apart: bool = False

    @property
    def name(self) -> str:
        """Its word, such as run or setstatus."""
        return str(self.words[0])

    @property
    def as_dry_run(self) -> "Command":
        """The same command, which changes nothing and tells what it would change."""
        words = tuple(word for word in self.words if word not in self.saving)
        return replace(self, words=words, saving=(), outcome=read_as_dry_run(self.outcome))

    def make_lines(self, autosubmit: str, expid: str, parameters: Mapping[str, Any]) -> list[list[str]]:
        """Return the argvs with the program; `autosubmit` is that of the site."""
        return [[*self.make_program(autosubmit), *argv] for argv in self.make_argvs(expid, parameters)]

    def make_program(self, autosubmit: str) -> list[str]:
        """Return what its words are arguments of; `autosubmit` is that program."""
        return ["/bin/sh", "-c", self.script] if self.script else [autosubmit]

    def make_argvs(self, expid: str, parameters: Mapping[str, Any]) -> list[list[str]]:
        """Return the argvs (without the program) for validated `parameters`: one, or more for a very long list."""
        words = [expid if word is Word.EXPID else str(word) for word in self.words]
        return [words + self._make_elements(batch) for batch in _split_parameters(self.options, parameters)]

    def _make_elements(self, parameters: Mapping[str, Any]) -> list[str]:
        said = (option for option in self.options if not option.is_filter)
        given = [option for option in said if parameters.get(option.name) not in (None, "", [])]
        ordered = sorted(given, key=lambda option: not option.flag)  # positional arguments come last
        return [element for option in ordered for element in option.make_elements(parameters[option.name])]


def _split_parameters(options: Sequence[Option], parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    said = (option for option in options if option.type is OptionType.LIST and not option.is_filter)
    lists = [option.name for option in said if parameters.get(option.name)]
    if not lists:
        yield parameters
        return
    name = lists[0]
    for part in split_list(parameters[name]):
        yield {**parameters, name: part}


def split_list(items: Sequence[str]) -> Iterator[list[str]]:
    """Yield the items in as many lists as it takes for each to fit into one argument; an empty one for none."""
    part: list[str] = []
    size = 0
    for item in items:
        size += len(item.encode()) + 1
        if part and size > LONGEST_LIST_BYTES:
            yield part
            part, size = [], len(item.encode()) + 1
        part.append(item)
    yield part
