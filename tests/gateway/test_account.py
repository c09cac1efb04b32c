"""The account of a gateway: in a container it may have a number and no name."""

import json
import os
import time
from pathlib import Path

import pytest

from autosubmit_portal.gateway.service import Gateway


def test_a_gateway_whose_account_has_no_name_tells_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: str(tmp_path / name) for name in ("reading", "acting")}
    (tmp_path / "gateway.json").write_text(json.dumps({"portal": "here", **places, "hosts": {}}))
    gateway = Gateway(tmp_path / "gateway.json")
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    assert gateway._describe(time.monotonic())["account"] == "54321"
    for listener, _ in gateway._listeners.values():
        listener.close()
