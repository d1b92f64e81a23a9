"""What a killed engine left of a container is told from the bridges' other ports, in a stand-in for /sys/class/net written in the kernel's own form."""
import importlib.util
import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import network_survey

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
    assert stale_ports.ports([ORACLE], net) == [("veth300", ORACLE, "br-far"), ("veth1", ORACLE, "br-omni")]
    assert stale_ports.ports([EXECUTOR], net) == [("veth3", EXECUTOR, "br-omni")]


def test_the_bridges_own_address_and_unknown_ones_have_no_port(net):
    assert stale_ports.ports([BRIDGE, "02:42:ac:1e:00:99"], net) == []


def test_a_port_that_went_meanwhile_and_a_table_that_ends_in_the_middle_are_no_error(net, tmp_path):
    (tmp_path / "br-omni" / "brif" / "veth1" / "port_no").unlink()
    table = tmp_path / "br-far" / "brforward"
    table.write_bytes(table.read_bytes()[:-1])
    assert stale_ports.ports([ORACLE], net) == []


@pytest.mark.parametrize("more, name", [
    ({"Options": {"com.docker.network.bridge.name": "br-omni"}}, "br-omni"), ({"Options": {}}, "br-0123456789ab"), ({"Options": None}, "br-0123456789ab")])
def test_a_bridge_has_the_name_that_the_collections_other_programs_give_it(more, name):
    found = dict({"Id": "0123456789abcdef", "Driver": "bridge"}, **more)
    assert stale_ports.bridge_of(found) == network_survey.bridge(found) == name


def test_the_entry_is_as_long_as_the_kernels():
    assert stale_ports.ENTRY.size == struct.calcsize("=6sBBIBBH") == 16


DOCKER = """case "$1 $2" in
"ps --quiet") {ps} ;;
"network ls") echo net1 ;;
"network inspect") echo '{networks}' ;;
inspect*) {inspect} ;;
esac"""


INSIDE = """process=${1#--net=/proc/}; process=${process%/ns/net}
[ "$2 $3 $4" = "ip -oneline link" ] && printf '1: lo: <UP>\\n7: eth0@if%d: <UP> mtu 1500\\n' $((process - 100))"""
VETH1, VETH3 = 4, 6  # their numbers


@pytest.fixture
def engine(net, tmp_path, monkeypatch, capsys):
    """Runs the program with stand-ins for systemctl, docker, nsenter and ip; returns (links that were deleted, what was said).

    running: numbers of the host's interfaces whose other ends are in containers that run, a container each; its process has a number of a hundred more.
    """
    def run(state, running, ps=None, inspect=None, nsenter=None, bridges=("br-omni", "br-far"), veths=("veth1", "veth2", "veth3", "veth4", "veth300")):
        tools = tmp_path / "tools"
        tools.mkdir()
        networks = json.dumps([{"Id": "0f" * 32, "Options": {"com.docker.network.bridge.name": name}} for name in bridges])
        processes = " ".join(str(100 + number) for number in running)
        docker = DOCKER.format(ps=ps or "echo %s" % ("one two" if running else ""), networks=networks, inspect=inspect or 'echo "%s"' % processes)
        links = "".join("%d: %s@if2: <BROADCAST,UP> mtu 1500\\n" % row for row in enumerate(veths, 4))
        scripts = {"systemctl": "echo %s" % state, "docker": docker, "nsenter": nsenter or INSIDE,
                   "ip": 'case "$*" in *"show type veth") printf "%s" ;; *) echo "$*" >> %s/deleted ;; esac' % (links, tmp_path)}
        for name, script in scripts.items():
            (tools / name).write_text("#!/bin/sh\n%s\n" % script, encoding="ascii")
            (tools / name).chmod(0o755)
        monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tools)
        monkeypatch.setattr(stale_ports, "ports", lambda addresses, _ports=stale_ports.ports: _ports(addresses, net))
        hangs = any("sleep" in (script or "") for script in (ps, inspect, nsenter))
        monkeypatch.setattr(stale_ports, "PATIENCE", 1 if hangs else 60)
        monkeypatch.setattr(sys, "argv", ["stale_ports.py", EXECUTOR.upper()])
        stale_ports.main()
        deleted = tmp_path / "deleted"
        return deleted.read_text(encoding="ascii") if deleted.exists() else "", capsys.readouterr().out
    return run


def test_what_no_running_container_has_is_taken_off(engine):
    deleted, said = engine("active", [VETH1])
    assert deleted == "link delete veth3\n"
    assert said == "took veth3 off its bridge: it was left of a container that had %s\n" % EXECUTOR


def test_the_port_of_a_running_container_stays_whatever_addresses_it_sends_by(engine):
    """One that sends frames by the address of a service which is down would be cut off else."""
    deleted, said = engine("active", [VETH1, VETH3])
    assert (deleted, said) == ("", "veth3 stays: a running container sends by %s\n" % EXECUTOR)


def test_an_engine_that_is_stopped_is_not_woken_and_nothing_goes(engine):
    deleted, said = engine("inactive", [])
    assert (deleted, said) == ("", "veth3 stays: the engine does not say whose it is\n")


@pytest.mark.parametrize("words", [
    {"ps": "exit 1"}, {"ps": "exec sleep 120"},  # an engine that restores a hundred containers, or hangs
    {"inspect": "echo %d; exit 1" % (100 + VETH1)},  # one of the two ended between the questions: docker names the others and fails
    {"inspect": "exec sleep 120"}, {"nsenter": "exit 1"}])
def test_an_engine_that_does_not_say_all_says_nothing(engine, words):
    deleted, said = engine("active", [VETH1], **words)
    assert (deleted, said) == ("", "veth3 stays: the engine does not say whose it is\n")


def test_a_container_that_ends_between_two_questions_is_asked_for_once_more(engine, tmp_path):
    once = "[ -e {0}/once ] || {{ touch {0}/once; echo {1}; exit 1; }}; echo {1}".format(tmp_path, 100 + VETH1)
    assert engine("active", [VETH1], inspect=once)[0] == "link delete veth3\n"


def test_with_no_container_running_what_is_left_goes(engine):
    assert engine("active", [])[0] == "link delete veth3\n"


@pytest.mark.parametrize("words", [
    {"veths": ("veth1", "veth2")},  # veth3 is the name of something else: a VLAN or a bond to the site's network, a virtual machine's tap
    {"bridges": ["br-far"]},  # br-omni is no bridge of the engine's: of LXC, libvirt or another engine
    {"bridges": []}])
def test_nothing_goes_but_a_containers_port_of_a_bridge_of_this_engine(engine, words):
    assert engine("active", [VETH1], **words) == ("", "")


def test_the_bridges_are_named_by_their_network_or_by_its_number(monkeypatch):
    networks = [{"Id": "0123456789abcdef" * 4, "Options": {}}, {"Id": "f" * 64, "Options": None}, {"Id": "e" * 64, "Options": {
        "com.docker.network.bridge.name": "docker0"}}]
    said = {"systemctl": "active\n", "ps": "", "ls": "012 fff eee\n", "inspect": json.dumps(networks)}
    monkeypatch.setattr(stale_ports, "output", lambda *words: said[words[0] if words[0] == "systemctl" else words[1] if words[1] == "ps" else words[2]])
    assert stale_ports.held() == (set(), {"br-0123456789ab", "br-ffffffffffff", "docker0"})


@pytest.mark.parametrize("fault", [FileNotFoundError("ip"), subprocess.TimeoutExpired("ip", 10)])
@pytest.mark.parametrize("deletes", [True, False])
def test_an_ip_that_hangs_or_is_missing_is_no_error(engine, monkeypatch, fault, deletes):
    before = subprocess.run

    def run(words, check, **more):
        if words[0] == "ip" and ("delete" in words) is deletes:
            raise fault
        return before(words, check=check, **more)
    monkeypatch.setattr(stale_ports.subprocess, "run", run)
    assert engine("active", [VETH1]) == ("", "")


def test_a_bridge_that_goes_while_it_is_read_is_no_error(net, monkeypatch):
    def listed(path, listdir=os.listdir):
        if str(path).endswith("br-far/brif"):
            raise FileNotFoundError(path)
        return listdir(path)
    monkeypatch.setattr(stale_ports.os, "listdir", listed)
    assert stale_ports.ports([ORACLE], net) == [("veth1", ORACLE, "br-omni")]


def test_it_needs_nothing_of_the_host_where_nothing_is_left(tmp_path):
    done = subprocess.run([sys.executable, str(PROGRAM), "02:42:00:00:00:01"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
