"""What a killed engine left of a container is told from the bridges' other ports, in a stand-in for /sys/class/net written in the kernel's own form."""
import importlib.util
import pathlib
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "roles" / "networks" / "files" / "stale_ports.py"
SPEC = importlib.util.spec_from_file_location("stale_ports", PROGRAM)
stale_ports = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(stale_ports)

ORACLE, EXECUTOR, BRIDGE = "02:42:ac:1e:00:0a", "02:42:ac:1e:00:14", "02:42:c8:98:93:f0"


def bridge(net, name, ports, entries):
    """A bridge with its ports (name to number) and what it has learned (address, port, whether it is its own)."""
    (net / name / "brif").mkdir(parents=True)
    for port, number in ports.items():
        (net / name / "brif" / port).mkdir()
        (net / name / "brif" / port / "port_no").write_text("0x%x\n" % number, encoding="ascii")
    rows = [bytes.fromhex(address.replace(":", "")) + bytes([port & 255, own]) + (1234).to_bytes(4, sys.byteorder) + bytes([port >> 8, 0, 0, 0])
            for address, port, own in entries]
    (net / name / "brforward").write_bytes(b"".join(rows))


@pytest.fixture
def net(tmp_path):
    """Two bridges and a card; the second bridge has 300 ports."""
    bridge(tmp_path, "br-omni", {"veth1": 1, "veth2": 2, "veth3": 3}, [(BRIDGE, 0, True), (ORACLE, 1, False), (EXECUTOR, 3, False)])
    bridge(tmp_path, "br-far", {"veth4": 44, "veth300": 300}, [(ORACLE, 300, False)])
    (tmp_path / "eth0").mkdir()
    return str(tmp_path)


def test_the_ports_behind_which_an_address_was_seen_are_found_on_every_bridge(net):
    assert stale_ports.ports([ORACLE], net) == [("veth300", ORACLE), ("veth1", ORACLE)]
    assert stale_ports.ports([EXECUTOR], net) == [("veth3", EXECUTOR)]


def test_the_bridges_own_address_and_unknown_ones_have_no_port(net):
    assert stale_ports.ports([BRIDGE, "02:42:ac:1e:00:99"], net) == []


def test_a_port_that_went_meanwhile_and_a_table_that_ends_in_the_middle_are_no_error(net, tmp_path):
    (tmp_path / "br-omni" / "brif" / "veth1" / "port_no").unlink()
    table = tmp_path / "br-far" / "brforward"
    table.write_bytes(table.read_bytes()[:-1])
    assert stale_ports.ports([ORACLE], net) == []


def test_the_entry_is_as_long_as_the_kernels():
    assert stale_ports.ENTRY.size == struct.calcsize("=6sBBIBBH") == 16


@pytest.fixture
def engine(net, tmp_path, monkeypatch, capsys):
    """Runs the program with stand-ins for systemctl, docker and ip; returns (links that were deleted, what was said)."""
    def run(state, running):
        tools = tmp_path / "tools"
        tools.mkdir()
        scripts = {"systemctl": "echo %s" % state, "ip": 'echo "$*" >> %s/deleted' % tmp_path,
                   "docker": '[ "$1" = ps ] && echo %s || echo "%s"' % ("one two" if running else "", " ".join(running))}
        for name, script in scripts.items():
            (tools / name).write_text("#!/bin/sh\n%s\n" % script, encoding="ascii")
            (tools / name).chmod(0o755)
        monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tools)
        monkeypatch.setattr(stale_ports, "ports", lambda addresses, _ports=stale_ports.ports: _ports(addresses, net))
        monkeypatch.setattr(sys, "argv", ["stale_ports.py", EXECUTOR.upper()])
        stale_ports.main()
        deleted = tmp_path / "deleted"
        return deleted.read_text(encoding="ascii") if deleted.exists() else "", capsys.readouterr().out
    return run


def test_what_no_running_container_has_is_taken_off(engine):
    deleted, said = engine("active", [ORACLE])
    assert deleted == "link delete veth3\n"
    assert said == "took veth3 off its bridge: it was left of a container that had %s\n" % EXECUTOR


def test_what_a_running_container_has_stays(engine):
    deleted, said = engine("active", [ORACLE, EXECUTOR])
    assert (deleted, said) == ("", "veth3 stays: a running container has %s\n" % EXECUTOR)


def test_an_engine_that_is_stopped_is_not_woken_and_nothing_goes(engine):
    deleted, said = engine("inactive", [])
    assert (deleted, said) == ("", "veth3 stays: the engine does not say whose it is\n")


def test_it_needs_nothing_of_the_host_where_nothing_is_left(tmp_path):
    done = subprocess.run([sys.executable, str(PROGRAM), "02:42:00:00:00:01"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
