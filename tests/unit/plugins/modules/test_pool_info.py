"""What a door's host says of the pool's own address: stand-ins for systemctl and ip, and a real port on loopback."""
import json
import socket

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import pool_info

UNIT = "protocol-omni-pool-address.service"


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module where keepalived is in some state and the host has some addresses; returns what it says of the pool's."""
    def run(state="active", own="127.0.0.1", **given):
        for name, said in (("systemctl", state), ("ip", "1: lo    inet %s/8 scope host lo" % own)):
            (tmp_path / name).write_text("#!/bin/sh\necho '%s'\n" % said, encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        parameters = dict({"folder": str(tmp_path), "names": [], "uses": [], "days": 90, "socket": str(tmp_path / "none.sock"), "address_unit": UNIT}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            pool_info.main()
        return json.loads(capsys.readouterr().out)["address"]
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    return run


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_address_that_answers_here(look, port):
    assert look(address="127.0.0.1/8", port=port) == {"state": "active", "why": "", "here": True}


def test_one_that_another_door_has(look, port):
    assert look(address="127.0.0.1/8", port=port, own="127.0.0.10") == {"state": "active", "why": "", "here": False}


def test_one_at_which_nobody_answers(look, port):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    found = look(state="failed", address="127.0.0.1", port=free)
    assert found["state"] == "failed" and "refused" in found["why"]


def test_without_an_address_nothing_is_said(look):
    assert look() == {}
