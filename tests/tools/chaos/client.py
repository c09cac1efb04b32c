"""Clients that ask for actions through HTTP while things break, and remember what they asked and were answered."""

import http.client
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.services import Http

# What is asked for, and how often of a hundred times.
KINDS = {
    "run": 32,
    "generate": 12,
    "restart": 12,
    "set_status": 12,
    "description": 10,
    "stop": 10,
    "cancel": 8,
    "create": 4,
}
AGAIN_SECONDS = 0.3


@dataclass(slots=True)
class Asked:
    """One request, told apart from all others by its reason, and every answer: (status, id of the action or 0)."""

    name: str
    kind: str
    method: str
    path: str
    body: dict[str, Any]
    key: str = ""
    answers: list[tuple[int, int]] = field(default_factory=list)
    is_unsure: bool = False

    @property
    def ids(self) -> set[int]:
        """The actions that were answered."""
        return {pk for status, pk in self.answers if status in (200, 202)}


class Client(threading.Thread):
    """Asks at random until it is told to stop; repeats a request with a key until that is answered."""

    def __init__(self, http: Http, expids: list[str], dice: random.Random, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.http, self.expids, self.dice = http, expids, dice
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self.errors = 0

    def run(self) -> None:
        while not self.stopping.is_set():
            kind = self.dice.choices(list(KINDS), list(KINDS.values()))[0]
            pause, is_again = self.dice.uniform(0.1, 0.9), self.dice.random() < 0.3
            if kind == "cancel":
                self._cancel()
            else:
                self._ask(self._wanted(kind), is_again=is_again)
            self.stopping.wait(pause)

    def latest(self, count: int) -> list[int]:
        """Return the ids of the newest actions that were answered."""
        return [pk for asked in self.asked[-count:] for pk in sorted(asked.ids)]

    def _wanted(self, kind: str) -> Asked:
        """Return a request that nobody else makes: its reason names it."""
        name = f"{self.name}-{len(self.asked)}"
        expid = self.dice.choice(self.expids)
        path, method = f"/v4/experiments/{expid}?action={kind}", "POST"
        body: dict[str, Any] = {"reason": name}
        if kind == "description":
            path, method, body = f"/v4/experiments/{expid}", "PATCH", body | {"description": name}
        elif kind == "set_status":
            path, method = f"/v4/experiments/{expid}/jobs?status=WAITING", "PATCH"
            body |= {"jobs": [f"{expid}_SIM"]}
        elif kind == "create":
            path, body = "/v4/experiments", body | {"description": name, "dummy": True}
        key = f"key-{name}" if self.dice.random() < 0.5 else ""
        return Asked(name, kind, method, path, body, key)

    def _ask(self, asked: Asked, *, is_again: bool) -> None:
        self.asked.append(asked)
        while not self._answered(asked) and asked.key:
            time.sleep(AGAIN_SECONDS)
        if asked.key and is_again and asked.ids:
            self._answered(asked)

    def _answered(self, asked: Asked) -> bool:
        """Send the request once; answer whether it was answered. An error of the server is no answer."""
        headers = {"Idempotency-Key": asked.key} if asked.key else {}
        try:
            answer = self.http.call(asked.method, asked.path, asked.body, **headers)
        except (OSError, http.client.HTTPException):
            self.errors += 1
            asked.is_unsure = True
            return False
        if answer.status >= 500:
            self.errors += 1
            asked.is_unsure = True
            return False
        asked.answers.append((answer.status, answer.body["id"] if answer.status < 300 else 0))
        return True

    def _cancel(self) -> None:
        ids = self.latest(5)
        if not ids:
            return
        try:
            self.http.post(f"/v4/actions/{ids[-1]}/cancel")
        except (OSError, http.client.HTTPException):
            self.errors += 1
