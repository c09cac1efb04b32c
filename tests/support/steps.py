"""Steps of actions, and where the commands of a test are."""

import uuid
from pathlib import Path

from django.conf import settings

from autosubmit_portal.agent.run_directory import RunDirectory
from experiments import own_gateway
from experiments.models import Action, Step


def find_directory(action: Action, number: int = 0) -> Path:
    """Return the run directory of a step; its host forgets it when the action has ended."""
    return locate(Step.objects.get(action=action.pk, number=number).key)


def locate(key: str) -> Path:
    """Return the run directory of a key."""
    folder: Path = settings.SPOOL_DIRECTORY
    return folder / own_gateway.read_portal_id() / key


def create_step(action: Action, number: int = 0, printed: bytes | str = b"") -> Step:
    """Make a step that was sent to its host and has printed something, as far as the files there say."""
    host = action.site.hosts.get()
    step = Step.objects.create(action=action, number=number, key=str(uuid.uuid4()), host=host)
    directory = locate(step.key)
    directory.mkdir(parents=True)
    RunDirectory(directory).take("00")
    (directory / "output").write_bytes(printed if isinstance(printed, bytes) else printed.encode())
    return step
