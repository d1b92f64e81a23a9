# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes what is left of a service's last container off the host's bridges, before the next one starts.

    stale_ports.py MAC...   the addresses of the service's interfaces, as docker run gives them

An engine that was killed does not remove the network namespace of a container, the kernel does; and that waits for the last of its connections, a minute as a
rule. Until then the old namespace answers to the service's addresses, with a refusal, and the bridge sends to whoever spoke last: the service is healthy
inside and refuses everybody. So a port of a bridge behind which one of these addresses was seen goes away, unless a running container has the address.

Python 3.9, its standard library, and the distribution's iproute2. Exits with 0; what it took away it tells.
"""
import os
import struct
import subprocess
import sys

NET = "/sys/class/net"
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
    """Interfaces that are ports of a bridge of this host, behind which one of the addresses was seen: list of (name, address)."""
    found = []
    for bridge in sorted(os.listdir(net)):
        folder = os.path.join(net, bridge, "brif")
        if not os.path.isdir(folder):
            continue
        names = {int(read(os.path.join(folder, name, "port_no")) or "0", 16): name for name in os.listdir(folder)}
        found += [(names[port], address) for address, port in learned(bridge, net) if address in addresses and port in names]
    return found


def output(*words):
    """What a program prints; empty where it is missing, fails or takes longer than ten seconds."""
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def held():
    """Addresses of running containers, or None where the engine cannot be asked. One that is stopped is not woken: its client would."""
    if output("systemctl", "is-active", "docker.service").strip() != "active":
        return None
    running = output("docker", "ps", "--quiet").split()
    template = "{{range .NetworkSettings.Networks}}{{.MacAddress}} {{end}}"
    return set(output("docker", "inspect", "--format", template, *running).split()) if running else set()


def main():
    stale = ports({address.lower() for address in sys.argv[1:]})
    running = held() if stale else None
    for name, address in stale:
        if running is None or address in running:
            print("%s stays: %s" % (name, "the engine does not say whose it is" if running is None else "a running container has %s" % address))
        elif not subprocess.run(["ip", "link", "delete", name], check=False).returncode:
            print("took %s off its bridge: it was left of a container that had %s" % (name, address))


if __name__ == "__main__":
    main()
