"""Say at the end of a run where its time went: by file and by fixture.

Tests that run side by side wait for each other, so their seconds say little: processor seconds are what can be saved.
Those of a process that a test started count when it has ended, and not when it is no child of the tests any more.
"""

import resource
import time
from collections import Counter, defaultdict
from collections.abc import Generator
from typing import Any

import pytest

LINES = 15


def _spent() -> tuple[float, float]:
    """Return the time, and the processor seconds of this process and of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + ended.ru_utime + ended.ru_stime


class WhereTimeWent:
    """A plugin of pytest. Where tests run, it measures; where their reports arrive, it adds up."""

    def __init__(self) -> None:
        self.before = _spent()
        self.set_up: list[tuple[str, float, float]] = []
        self.files: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.fixtures: defaultdict[str, Counter[str]] = defaultdict(Counter)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Measure a fixture that is asked for; what it asks for itself has been set up before."""
        before = _spent()
        try:
            return (yield)
        finally:
            after = _spent()
            self.set_up.append((fixturedef.argname, after[0] - before[0], after[1] - before[1]))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        """Begin a test."""
        self.before, self.set_up = _spent(), []
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        """Have the report of a phase carry what it took."""
        report = yield
        after = _spent()
        report.processor, report.set_up = after[1] - self.before[1], self.set_up
        self.before, self.set_up = after, []
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add up what a phase took."""
        self.files[report.location[0]] += Counter({report.when: report.duration, "processor": report.processor})
        for name, seconds, processor in report.set_up:
            self.fixtures[name] += Counter({"times": 1, "seconds": seconds, "processor": processor})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the files and the fixtures that took the most."""
        self._print(terminalreporter, "Files", self.files, ("processor", "setup", "call", "teardown"))
        self._print(terminalreporter, "Fixtures", self.fixtures, ("processor", "seconds", "times"))

    @staticmethod
    def _print(
        reporter: pytest.TerminalReporter, title: str, rows: dict[str, Counter[str]], columns: tuple[str, ...]
    ) -> None:
        everything = sum(row["processor"] for row in rows.values())
        reporter.section(f"{title}: {everything:.0f} processor seconds in all", sep="-")
        reporter.write_line("".join(f"{name:>10}" for name in columns))
        for name in sorted(rows, key=lambda name: -rows[name]["processor"])[:LINES]:
            reporter.write_line("".join(f"{rows[name][column]:10.1f}" for column in columns) + f"  {name}")
