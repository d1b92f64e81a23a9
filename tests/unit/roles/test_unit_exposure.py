"""How much of the host each unit of ours leaves to its program, by systemd's own measure, and that its limits are ones that systemd knows."""
import re
import shutil
import subprocess

import pytest
import rendered_units
import yaml
from support import ROOT

LIMIT = 3.0
ABOVE = yaml.safe_load((ROOT / "tests" / "unit" / "roles" / "unit_exposures.yml").read_text(encoding="utf-8"))
UNITS = {rendered_units.name_of(source): source for source in rendered_units.sources()}
# Those whose programs open device files of cards, and what would take the cards away: ProtectClock= brings a list of devices, and what is not on it is refused.
WITH_CARDS = ["host_driver-protocol-omni-cdi.service", "inference_service-unit.service", "vram_watch-watch.service"]
TAKES_DEVICES = {"PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy"}
# systemd.exec(5): each gives a unit a view of the file systems of its own.
MOUNT_NAMESPACE = {"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "ProtectControlGroups", "ProtectKernelTunables",
                   "ProtectKernelModules", "ProtectKernelLogs", "ProtectProc", "ProcSubset", "ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths",
                   "BindPaths", "TemporaryFileSystem", "RootDirectory"}
NEWER = {"RestartMode"}  # than the systemd of Debian 12; older ones pass over it, and its template says what then


def measured(folder, name, text):
    """(exposure, what systemd says against the file) of a unit."""
    tool = shutil.which("systemd-analyze")
    assert tool, "systemd-analyze is missing: install systemd, 250 or newer"
    (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run([tool, "security", "--offline=true", "--no-pager", str(folder / name)], capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+) ", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found.group(1)), done.stderr


def directives(name):
    """Of a unit's section [Service]: dict of name to list of values."""
    found = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", rendered_units.text_of(UNITS[name]).partition("[Service]")[2].partition("[Install]")[0], re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_the_measure_tells_a_bare_unit_from_a_confined_one(tmp_path):
    bare, _said = measured(tmp_path, "bare.service", "[Service]\nExecStart=/bin/true\n")
    confined, _said = measured(tmp_path, "confined.service", "[Service]\nExecStart=/bin/true\nDynamicUser=yes\nCapabilityBoundingSet=\nPrivateNetwork=yes\n")
    assert bare > 9 and confined < bare - 2


def test_every_unit_of_the_roles_is_measured():
    assert {"gateway-gateway.service", "networks-seal.service", "observability-prometheus.service", *WITH_CARDS} <= set(UNITS)
    assert set(ABOVE) <= set(UNITS)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_its_exposure_is_low_or_has_a_reason(name, tmp_path):
    exposure, said = measured(tmp_path, name, rendered_units.text_of(UNITS[name]))
    print("%s: %.1f" % (name, exposure))
    assert exposure <= ABOVE.get(name, {"bound": LIMIT})["bound"], "%s has an exposure of %.1f" % (name, exposure)
    if name in ABOVE:
        assert exposure > LIMIT and len(ABOVE[name]["why"]) > 80, "%s needs no exception any more: take it out of unit_exposures.yml" % name
    # A directive that is misspelt limits nothing, and systemd only says so in its log.
    assert [line for line in said.splitlines() if not any("Unknown key '%s'" % key in line for key in NEWER)] == []


def test_a_gateway_of_a_low_port_is_as_confined(tmp_path):
    text = rendered_units.text_of(UNITS["gateway-gateway.service"], {"gateway_port": 443})
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in text
    assert measured(tmp_path, "low.service", text)[0] <= LIMIT


@pytest.mark.parametrize("name", WITH_CARDS)
def test_what_opens_the_cards_keeps_its_devices(name):
    assert TAKES_DEVICES & set(directives(name)) == set()


@pytest.mark.parametrize("name", ["inference_service-unit.service", "vram_watch-watch.service"])
def test_what_runs_beside_volumes_holds_none_of_them(name):
    assert MOUNT_NAMESPACE & set(directives(name)) == set()


def test_the_seal_may_enter_network_namespaces_and_speak_netlink():
    found = directives("networks-seal.service")
    assert found["RestrictNamespaces"] == ["net"] and set(found["RestrictAddressFamilies"][0].split()) == {"AF_NETLINK", "AF_UNIX"}
    assert {"CAP_NET_ADMIN", "CAP_SYS_ADMIN"} <= set(found["CapabilityBoundingSet"][0].split())


def test_a_service_may_enter_network_namespaces_and_ask_by_every_way_that_it_does():
    found = directives("inference_service-unit.service")
    assert found["RestrictNamespaces"] == ["net"]
    assert set(found["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"}
    kept = {"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_MODULE", "CAP_MKNOD"}
    taken = {word.lstrip("~") for line in found["CapabilityBoundingSet"] for word in line.split()}
    assert all(line.startswith("~") for line in found["CapabilityBoundingSet"]) and not kept & taken


def test_the_watcher_may_become_root_by_sudo():
    """sudo refuses to run where no new privileges may be had."""
    assert "NoNewPrivileges" not in directives("vram_watch-watch.service")


def test_what_runs_a_part_of_itself_as_another_user_may_become_it_and_end_it():
    """HAProxy answers as haproxy, keepalived looks at the door as nobody. Without these keepalived starts, says so in its log, and looks no more."""
    for name in ("pool-pool.service", "pool-address.service"):
        assert {"CAP_SETUID", "CAP_SETGID", "CAP_KILL"} <= set(directives(name)["CapabilityBoundingSet"][0].split())


def test_what_makes_machine_code_may():
    """LuaJIT and ctypes need memory that is written and run."""
    for name in ("gateway-gateway.service", "networks-seal.service"):
        assert "MemoryDenyWriteExecute" not in directives(name)
