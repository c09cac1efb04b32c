"""The ways to say which jobs are meant: each option beside the function that finds its jobs."""

from collections.abc import Mapping, Sequence

from autosubmit_portal.sentences import marked, say
from experiments.autosubmit.command import Choice, Option, OptionType
from experiments.catalogue.facts import Parameters, join_names
from jobs.autosubmit.chunk_filter import UnreadableFilter, read_chunk_filter
from jobs.workflow import Workflow

FILTERABLE_STATUSES = ("READY", "COMPLETED", "WAITING", "SUSPENDED", "FAILED", "UNKNOWN")
JOB_NAME_PATTERN = r"[A-Za-z0-9_.+/-]+"


def choose_by_name(workflow: Workflow, names: Sequence[str]) -> Choice:
    """Return the named jobs that exist."""
    return [name for name in names if name in workflow.jobs], []


def _choose_by_status(workflow: Workflow, statuses: Sequence[str]) -> Choice:
    absent = sorted(set(statuses) - {row.status for row in workflow.rows})
    doubts: list[str] = [say("no job is {status}.", status=status) for status in absent]
    return [row.name for row in workflow.rows if row.status in statuses], doubts


def _choose_by_section(workflow: Workflow, sections: Sequence[str]) -> Choice:
    wanted = {section.upper() for section in sections}
    if "ANY" in wanted:
        return list(workflow.jobs), []
    absent = sorted(wanted - {row.section.upper() for row in workflow.rows})
    doubts: list[str] = [say("no job is of section {section}.", section=section) for section in absent]
    return [row.name for row in workflow.rows if row.section.upper() in wanted], doubts


def _choose_by_member(workflow: Workflow, members: Sequence[str]) -> Choice:
    wanted = {member.upper() for member in members}
    absent = sorted(wanted - {row.member.upper() for row in workflow.rows if row.member})
    doubts: list[str] = [say("no job is of member {member}.", member=member) for member in absent]
    return [row.name for row in workflow.rows if row.member and row.member.upper() in wanted], doubts


def _choose_by_chunks(workflow: Workflow, text: str) -> Choice:
    wanted = read_chunk_filter(text)
    chosen = [row.name for row in workflow.rows if wanted.matches(row.date, row.member, row.chunk)]
    unknown = wanted.find_unknown((row.date, row.member, row.chunk) for row in workflow.rows)
    doubts: list[str] = [say("no job has {unknown}.", unknown=join_names(unknown))] if unknown else []
    if not chosen and not unknown:
        doubts.append(say("no job has these dates, members and chunks together."))
    return chosen, doubts


JOBS = Option(
    name="jobs",
    flag="--list",
    type=OptionType.LIST,
    pattern=JOB_NAME_PATTERN,
    pattern_help=marked("letters, digits, `_`, `.`, `+`, `/` and `-`"),
    help="Names of jobs.",
    example=["a000_20000101_fc0_1_SIM"],
    choose=choose_by_name,
)
FILTERS = (
    Option(
        name="filter_status",
        type=OptionType.LIST,
        choices=FILTERABLE_STATUSES,
        help="All jobs that have one of these statuses.",
        example=["FAILED"],
        choose=_choose_by_status,
        is_filter=True,
    ),
    Option(
        name="filter_section",
        type=OptionType.LIST,
        pattern=r"[A-Za-z0-9_.+/-]+",
        pattern_help=marked("letters, digits, `_`, `.`, `+`, `/` and `-`"),
        help="All jobs of these sections; `Any` stands for all.",
        example=["SIM"],
        choose=_choose_by_section,
        is_filter=True,
    ),
    Option(
        name="filter_member",
        type=OptionType.LIST,
        pattern=r"[A-Za-z0-9_.+/-]+",
        pattern_help=marked("letters, digits, `_`, `.`, `+`, `/` and `-`"),
        help="All jobs of these members.",
        example=["fc0"],
        choose=_choose_by_member,
        is_filter=True,
    ),
    Option(
        name="filter_chunks",
        max_bytes=10_240,
        pattern=r"(?:\[[A-Za-z0-9_.+/ \[\]-]+\]|[0-9][0-9, -]*)",
        pattern_help=marked(
            "numbers of chunks such as 3-7,12, or dates, members and chunks such as [ 20000101 [ fc0 [1-4] ] ]"
        ),
        help="All jobs of these chunks, such as 3-7,12, or of these dates, members and chunks in Autosubmit's "
        "notation. A date is a day or, with two or four more digits, an hour or a minute of it.",
        example="[ 20000101 [ fc0 [1-4] ] ]",
        choose=_choose_by_chunks,
        is_filter=True,
    ),
)
WAYS = {option.name: option for option in (JOBS, *FILTERS)}


def choose_each(workflow: Workflow, parameters: Parameters) -> dict[str, Choice]:
    """Return for each way that is given, by its name, the jobs that it means."""
    given = {name: way for name, way in WAYS.items() if parameters.get(name)}
    return {name: way.choose(workflow, parameters[name]) for name, way in given.items() if way.choose}


def intersect(choices: Mapping[str, Choice]) -> list[str]:
    """Return the names of the jobs that are in all of the choices, in the order of the first."""
    first, *others = (names for names, _ in choices.values()) if choices else ([],)
    common = set(first).intersection(*others)
    return [name for name in first if name in common]


def choose(workflow: Workflow, parameters: Parameters) -> Choice:
    """Return the jobs that the parameters mean, by name or by filters that all hold, and doubts about each way."""
    choices = choose_each(workflow, parameters)
    return intersect(choices), [
        say("{name}: {doubt}", name=name, doubt=doubt) for name, (_, doubts) in choices.items() for doubt in doubts
    ]


def check_choice(parameters: Parameters) -> dict[str, str]:
    """Return the errors of the choice: names or filters, and a filter of chunks must be readable."""
    filters = [option.name for option in FILTERS]
    if bool(parameters.get("jobs")) == any(parameters.get(name) for name in filters):
        return {
            "jobs": say(
                "Choose the jobs either by name or by filters, which then all hold: {names}.", names=", ".join(filters)
            )
        }
    if parameters.get("filter_chunks"):
        try:
            read_chunk_filter(parameters["filter_chunks"])
        except UnreadableFilter as error:
            said = marked("This cannot be read. {error} Examples: 3-7,12 or [ 20000101 [ fc0 [1-4] ] ].")
            return {"filter_chunks": say(said, error=error)}
    return {}
