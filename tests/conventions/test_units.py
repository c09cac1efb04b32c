"""The units of docs/systemd, as systemd itself reads them."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from django.conf import settings

UNITS = settings.BASE_DIR / "docs" / "systemd"
SYSTEM = Path("/usr/lib/systemd/system")
# What lets agents and experiments live on when the service stops.
KEEPS_AGENTS = ("agent", "gateway", "gateway-without-walls", "worker@")


def install(root: Path, *, with_walls: bool) -> None:
    """Make a root with the units, and something in the place of each program that they start."""
    shutil.copytree(SYSTEM, root / "usr/lib/systemd/system", symlinks=True)
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, folder)
        for program in re.findall(r"^ExecStart=(\S+)", unit.read_text(), re.MULTILINE):
            file = root / program[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("#!/bin/sh\n")
            file.chmod(0o755)
    for name, file in {"web": "walls", "mirror": "walls", "worker@": "walls-worker"}.items() if with_walls else ():
        drop_in = folder / f"autosubmit-portal-{name}.service.d"
        drop_in.mkdir()
        shutil.copy(UNITS / f"{file}.conf", drop_in)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="Debian's package systemd is missing")
@pytest.mark.parametrize("with_walls", [False, True])
def test_systemd_understands_every_line_of_the_units(tmp_path: Path, with_walls: bool) -> None:
    install(tmp_path, with_walls=with_walls)
    units = map(str, sorted((tmp_path / "etc/systemd/system").glob("*.service")))
    command = ["systemd-analyze", "verify", f"--root={tmp_path}", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_what_starts_experiments_leaves_them_and_all_else_is_closed(unit: Path) -> None:
    service = read_service(unit)
    if unit.stem.removeprefix("autosubmit-portal-") in KEEPS_AGENTS:
        assert service["KillMode"] == "process"
        assert "PrivateTmp" not in service
    else:
        assert (service["ProtectSystem"], service["NoNewPrivileges"], service["PrivateTmp"]) == (
            "strict",
            "true",
            "true",
        )
    assert service["UMask"] == "0077"


def test_with_walls_the_gateway_has_an_account_of_its_own() -> None:
    accounts = {name: read_service(UNITS / name)["User"] for name in ("walls.conf", "walls-worker.conf")}
    assert set(accounts.values()) == {"autosubmit-portal"}
    assert read_service(UNITS / "autosubmit-portal-gateway.service")["User"] == "autosubmit-gateway"


def read_service(file: Path) -> dict[str, str]:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(file.read_text(encoding="utf-8"))
    return dict(parser["Service"])
