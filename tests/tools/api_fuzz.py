"""Schemathesis over the whole OpenAPI document, as accounts of every role: `make fuzz`.

A server alone is asked, so that what an action would do never happens. For each account nothing may fail inside the
server, answer with a status, a type or a shape that the document does not have, or change what the account may not. A
token that is only to read, or limited to a team elsewhere, is refused every change that the document has.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.apps import apps

from tests.support import web
from tests.support.services import UNBOUNDED, Http, Portal
from tests.support.waiting import PATIENCE
from tests.support.web import TEAM_ELSEWHERE

# A 503 says what cannot be reached; where the document has it, it is an answer like any other.
CONFIGURATION = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 503]\n'
PHASES = "examples,coverage,fuzzing"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# The trail grows by refusals, and a token says when it was last used.
UNCOMPARED = {"audit.AuditEntry", "audit.Tally"}
UNCOMPARED_COLUMNS = {"last_used_at", "last_used_address"}
SNAPSHOT = "from tests.tools.api_fuzz import tables; print(tables())"
TOKEN = "import os; from django.core.management import call_command as call; call(*os.environ['WORDS'].split())"


# The rows of tests/support/web_rows.py, for the variable parts of addresses and for queries.
ROWS = {
    "expid": "a000",
    "job": "a000_SIM",
    **dict.fromkeys(("action_id", "delegation_id", "freeze_id", "note_id"), "1"),
}
SAID = {"action": "run", "status": "READY", "site": "local"}


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: an account, how its token is limited in words of `create_token`, and which tables it may change."""

    name: str
    limit: str = ""
    may_change: frozenset[str] | None = frozenset()

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"{self.name} {self.limit}".strip()

    def enter(self, portal: Portal) -> tuple[str, dict[str, str]]:
        """Make a token of it, and return that with the tables, in one process."""
        words = f"create_token {self.name} --name=fuzz {self.limit}"
        made = portal.manage("shell", "--no-imports", "-c", f"{TOKEN}; {SNAPSHOT}", WORDS=words)
        token, digests = made.splitlines()
        return token, json.loads(digests)


ACCOUNTS = (
    Account("viewer", may_change=frozenset({"access.ApiToken of viewer"})),
    Account("admin", "--read-only"),
    # It may make tokens that can do no more than itself.
    Account("admin", f"--team={TEAM_ELSEWHERE}", frozenset({"access.ApiToken of admin"})),
    Account("operator", may_change=None),
    Account("manager", may_change=None),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found as one account: what schemathesis said if it complained, and the tables that changed."""

    account: Account
    complaint: str
    changed: frozenset[str]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        allowed = self.account.may_change
        return not self.complaint and (allowed is None or self.changed <= allowed)

    def __str__(self) -> str:
        verdict, changed = "good" if self.is_good else "BAD", ", ".join(sorted(self.changed)) or "nothing"
        return f"{self.account.title}: {verdict}; changed: {changed}"


def tables() -> str:
    """Return a digest of each table, of tokens for each account, as JSON; called in the process of a server."""
    digests: dict[str, str] = {}
    for model in (model for model in apps.get_models() if model._meta.label not in UNCOMPARED):
        columns = [f.attname for f in model._meta.concrete_fields if f.attname not in UNCOMPARED_COLUMNS]
        owner = ["user__username"] if model._meta.label == "access.ApiToken" else []
        for row in model._default_manager.order_by("pk").values("pk", *columns, *owner):
            label = f"{model._meta.label} of {row['user__username']}" if owner else model._meta.label
            digests[label] = sha256(f"{digests.get(label)}{row}".encode()).hexdigest()
    return json.dumps(digests)


def fuzz(portal: Portal, account: Account, *, examples: int, seed: int, phases: str = PHASES) -> Finding:
    """Ask as one account and return what was found."""
    token, before = account.enter(portal)
    complaint = "".join(f"{deed}\n" for deed in done(portal, token)) if account.limit else ""
    complaint += ask(portal, token, examples=examples, seed=seed, phases=phases)
    after = json.loads(portal.manage("shell", "--no-imports", "-c", SNAPSHOT))
    changed = {label for label in before.keys() | after.keys() if before.get(label) != after.get(label)}
    return Finding(account, complaint, frozenset(changed))


def done(portal: Portal, token: str) -> Iterator[str]:
    """Ask for every change that the document has, with its own examples, and yield what was not refused."""
    http = Http(portal.url, token)
    for path, operations in http.get("/v4/schema").body["paths"].items():
        for method, operation in operations.items():
            if method in ("post", "put", "patch", "delete"):
                answer = http.call(method.upper(), address(path, operation), first_example(operation))
                told = answer.body.get("results", [{"status": answer.status}])
                if not {result["status"] for result in told} <= {403, 404}:
                    yield f"{method.upper()} {path} is not refused: {answer.status} {answer.body}"


def address(path: str, operation: dict[str, Any]) -> str:
    """Return an address of an operation that means rows that there are."""
    names = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
    query = urlencode({name: SAID[name] for name in names if name in SAID})
    return re.sub(r"{(\w+)}", lambda part: ROWS.get(part[1], "x"), path) + (f"?{query}" if query else "")


def first_example(operation: dict[str, Any]) -> Any:
    """Return the first example of its body, None without one."""
    examples = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
    return next((example["value"] for example in examples.values()), None)


def ask(portal: Portal, token: str, *, examples: int, seed: int, phases: str) -> str:
    """Run schemathesis and return its report if it found anything."""
    options = {
        "--checks": ",".join(CHECKS),
        "--max-examples": str(examples),
        "--seed": str(seed),
        "--phases": phases,
        "--request-timeout": str(PATIENCE),
        "--suppress-health-check": "too_slow",  # it takes a busy machine for a document that is hard to make data of
        "--warnings": "off",
    }
    # No worker ends an action here: nobody waits for one.
    headers = ["--header", f"Authorization: Bearer {token}", "--header", "Prefer: wait=0"]
    words = [word for option in options.items() for word in option]
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"]
    argv = [*program, "run", f"{portal.url}/v4/schema", *words, *headers]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schemathesis.toml").write_text(CONFIGURATION)
        done = subprocess.run(
            [*argv, "--continue-on-failure", "--no-color"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return done.stdout if done.returncode else ""


def main() -> None:
    """Ask as every account and end with 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="requests per operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--static", type=Path, required=True, help="folder of the collected static files")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        portal = web.serve(Path(folder), given.static.resolve(), **UNBOUNDED)
        try:
            findings = [fuzz(portal, account, examples=given.examples, seed=given.seed) for account in ACCOUNTS]
        finally:
            portal.tear_down()
    for finding in findings:
        print(finding.complaint + str(finding))
    sys.exit(0 if all(finding.is_good for finding in findings) else 1)


if __name__ == "__main__":
    main()
