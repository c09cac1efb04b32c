"""The workflows that tests run; each ends in seconds but `long` and `mixed`, which are there to be stopped."""

from autosubmit_portal.management.demo import Section, Workflow


def _sections(simulation: str = "true") -> tuple[Section, ...]:
    return (
        Section(name="SETUP"),
        Section(name="INI", running="member", after="SETUP"),
        Section(name="SIM", script=simulation, running="chunk", after="INI SIM-1"),
    )


def small(members: int = 1, chunks: int = 2) -> Workflow:
    """Return SETUP > INI > SIM 1 > SIM 2: four jobs that all end well."""
    return Workflow(description="small", sections=_sections(), members=members, chunks=chunks, sleep_seconds=0)


def failing() -> Workflow:
    """Return SETUP and SIDE, which end well, BAD, which fails, and AFTER, which waits for BAD for ever."""
    sections = (
        Section(name="SETUP"),
        Section(name="BAD", script="echo about to fail\nexit 1", after="SETUP"),
        Section(name="AFTER", after="BAD"),
        Section(name="SIDE", after="SETUP"),
    )
    return Workflow(description="failing", sections=sections, sleep_seconds=0)


def mending() -> Workflow:
    """Return ONCE, which fails the first time and ends well the second, and AFTER, which waits for it."""
    script = 'mkdir "$0.tried" || exit 0\necho fails the first time >&2\nexit 1'
    sections = (Section(name="ONCE", script=script), Section(name="AFTER", after="ONCE"))
    return Workflow(description="mending", sections=sections, sleep_seconds=0)


def long(sleep: float = 600) -> Workflow:
    """Return LONG, which sleeps, and AFTER, which waits for it."""
    sections = (Section(name="LONG", script=f"sleep {sleep}", wallclock="24:00"), Section(name="AFTER", after="LONG"))
    return Workflow(description="long", sections=sections)


def mixed(sleep: float = 600) -> Workflow:
    """Return every state at once: member fc0 ends well, fc1 fails and holds up its POST, LONG sleeps."""
    fails = 'if [ "%MEMBER%" = fc1 ]; then exit 3; fi'
    sections = (
        Section(name="SETUP"),
        Section(name="SIM", script=fails, running="chunk", after="SETUP SIM-1"),
        Section(name="POST", running="chunk", after="SIM"),
        Section(name="LONG", script=f"sleep {sleep}", after="SETUP", wallclock="24:00"),
    )
    return Workflow(description="mixed", sections=sections, members=2, chunks=2)


def medium() -> Workflow:
    """Return 981 jobs: 10 members of 32 chunks."""
    sections = (
        *_sections(),
        Section(name="POST", running="chunk", after="SIM"),
        Section(name="CLEAN", running="chunk", after="POST"),
        Section(name="TRANSFER", running="member", after="CLEAN"),
    )
    return Workflow(description="medium", sections=sections, members=10, chunks=32, sleep_seconds=0)


def large() -> Workflow:
    """Return SETUP and 10,000 simulations: 100 members of 100 chunks."""
    sections = (Section(name="SETUP"), Section(name="SIM", running="chunk", after="SETUP SIM-1"))
    return Workflow(description="large", sections=sections, members=100, chunks=100, sleep_seconds=0)


KINDS = {
    "small": small,
    "waiting": small,  # make_experiment leaves it without a job list
    "failing": failing,
    "mending": mending,
    "long": long,
    "mixed": mixed,
    "medium": medium,
    "large": large,
}
