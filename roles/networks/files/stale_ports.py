# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes what is left of a service's last container off the host's bridges, before the next one starts.

    stale_ports.py MAC...   the addresses of the service's interfaces, as docker run gives them

An engine that was killed does not remove the network namespace of a container, the kernel does; and that waits for the last of its connections, a minute as a
rule. Until then the old namespace answers to the service's addresses, with a refusal, and the bridge sends to whoever spoke last: the service is healthy
inside and refuses everybody. So a port behind which one of these addresses was seen goes away: one end of a pair (veth) on a bridge of this engine's, whose
other end no running container has. An address alone says nothing, for whoever may send frames can send them by any. What is anything else, such as a VLAN by
which a bridge reaches the site's network, is nothing that a container left; and an engine that does not answer says nothing of its containers.

Python 3.9, its standard library, and the distribution's iproute2. Exits with 0; what it took away it tells.
"""
import json
import os
import re
import struct
import subprocess
import sys

NET = "/sys/class/net"
PATIENCE = 10  # seconds that a program gets to answer
TRIES = 2
# struct __fdb_entry of linux/if_bridge.h: address, low byte of the port, whether it is the bridge's own, age in 1/100 s, high byte of the port, padding.
ENTRY = struct.Struct("=6sBBIBBH")


def read(path, mode="r"):
    """What a file of /sys says; empty where it is gone by now."""
    try:
        with open(path, mode) as stream:
            return stream.read()
    except OSError:
        return b"" if "b" in mode else ""


def learned(bridge, net=NET):
    """(address, number of the port) of what a bridge has learned of others.

    :param bridge: name of the interface.
    :returns: list of (str such as "02:42:ac:1e:00:0a", int).
    """
    table = read(os.path.join(net, bridge, "brforward"), "rb")
    rows = [ENTRY.unpack_from(table, start) for start in range(0, len(table) - ENTRY.size + 1, ENTRY.size)]
    return [(":".join("%02x" % byte for byte in row[0]), row[1] + (row[4] << 8)) for row in rows if not row[2]]


def ports(addresses, net=NET):
    """Interfaces that are ports of a bridge of this host, behind which one of the addresses was seen: list of (name, address, bridge)."""
    found = []
    for bridge in sorted(os.listdir(net)):
        folder = os.path.join(net, bridge, "brif")
        try:
            names = {int(read(os.path.join(folder, name, "port_no")) or "0", 16): name for name in os.listdir(folder)}
        except OSError:  # no bridge, or none any more
            continue
        found += [(names[port], address, bridge) for address, port in learned(bridge, net) if address in addresses and port in names]
    return found


def output(*words):
    """What a program prints; None where it is missing, fails or does not answer in time."""
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def asked(*words, named):
    """What docker says of each of the things that it lists: "" where there are none, None where it does not say. One that goes between the two questions makes
    it fail; it is asked again."""
    for _try in range(TRIES):
        listed = output("docker", *named)
        if not listed:
            return listed
        said = output("docker", *words, *listed.split())
        if said is not None:
            return said
    return None


def bridge_of(network):
    """The interface of one of the engine's networks; as plugins/module_utils/network_survey.py says it, which is not on the host."""
    return (network.get("Options") or {}).get("com.docker.network.bridge.name") or "br-" + network["Id"][:12]


def held():
    """(numbers of the interfaces of this host whose other end is in a running container, names of the engine's bridges): two sets, or None where that cannot be
    told. An engine that is stopped is not woken: its client would."""
    if (output("systemctl", "is-active", "docker.service") or "").strip() != "active":
        return None
    processes = asked("inspect", "--format", "{{.State.Pid}}", named=("ps", "--quiet"))
    networks = asked("network", "inspect", named=("network", "ls", "--quiet", "--filter", "driver=bridge"))
    if processes is None or networks is None:
        return None
    inside = [output("nsenter", "--net=/proc/%s/ns/net" % process, "ip", "-oneline", "link") for process in processes.split()]
    if None in inside:
        return None
    bridges = {bridge_of(network) for network in json.loads(networks or "[]")}
    return {int(number) for links in inside for number in re.findall(r"^\d+: [^:@ ]+@if(\d+):", links, re.MULTILINE)}, bridges


def veths():
    """Interfaces that are one end of a pair, as a container's are: name to number."""
    said = output("ip", "-oneline", "link", "show", "type", "veth") or ""
    return {name: int(number) for number, name in re.findall(r"^(\d+): ([^:@ ]+)[@:]", said, re.MULTILINE)}


def main():
    found, pairs = ports({address.lower() for address in sys.argv[1:]}), {}
    if found:
        pairs = veths()
    stale = [row for row in found if row[0] in pairs]
    said = held() if stale else None
    for name, address, bridge in stale:
        if said is None or pairs[name] in said[0]:
            print("%s stays: %s" % (name, "the engine does not say whose it is" if said is None else "a running container sends by %s" % address))
        elif bridge in said[1] and output("ip", "link", "delete", name) is not None:
            print("took %s off its bridge: it was left of a container that had %s" % (name, address))


if __name__ == "__main__":
    main()
