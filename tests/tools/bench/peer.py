"""Autosubmit API 4.2.0, the peer, from an environment of its own (`make peer`), on the same store as the portal."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.services import Http, free_port
from tests.support.waiting import wait_for
from tests.tools.bench.load import Server
from tests.tools.bench.stores import Store

NAME = "Autosubmit API"
WORKERS = 2  # as many as the portal has


def program_of(environment: Path) -> Path | None:
    """Return the peer's program in a virtual environment, or None where it is not installed."""
    program = environment / "bin" / "autosubmit_api"
    return program if program.exists() else None


def version_of(program: Path) -> str:
    """Return what the program calls its version, such as 4.2.0."""
    told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    return told.split()[-1].removeprefix("v")


@contextmanager
def serve(program: Path, store: Store, folder: Path) -> Iterator[Server]:
    """Give the running peer, for which a token is needed, as for the portal; without its periodic tasks."""
    folder.mkdir()
    port, token = free_port(), secrets.token_urlsafe(24)
    variables = {
        "PATH": f"{program.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "AUTOSUBMIT_CONFIGURATION": str(store.configuration),
        "PROTECTION_LEVEL": "ALL",
        "SECRET_KEY": secrets.token_urlsafe(24),
        "AS_API_SECRET_TOKEN": token,
    }
    command = [str(program), "start", f"--bind=127.0.0.1:{port}", f"--workers={WORKERS}", "--disable-bg-tasks"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    server = Server(NAME, f"http://127.0.0.1:{port}", token)
    try:
        wait_for(lambda: _answers(server, process, folder))
        yield server
    finally:
        process.terminate()
        process.wait()


def _answers(server: Server, process: "subprocess.Popen[bytes]", folder: Path) -> bool:
    assert process.poll() is None, (folder / "log").read_text()
    try:
        return Http(server.url, server.token).get("/v4/experiments?page_size=1").status == 200
    except OSError:
        return False
