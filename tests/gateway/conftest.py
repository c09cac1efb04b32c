"""A host with the three accounts of production, reached by each channel."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site_host import SiteHost, site_host


@pytest.fixture(scope="session")
def host() -> Iterator[SiteHost]:
    """Lend it to all tests of a run: accounts, a rule of sudo, an sshd."""
    with site_host() as made:
        yield made


@pytest.fixture
def place(host: SiteHost) -> Path:
    """Lend a folder in which every account may write and read."""
    made = host.folder / f"place-{uuid.uuid4()}"
    made.mkdir()
    made.chmod(0o1777)
    return made
