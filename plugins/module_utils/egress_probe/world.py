# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world around a container: an outside, an unrestricted caller beside it, a neighbour, and ears everywhere.

Everything is made in namespaces without a name; when the process ends the kernel removes them with the devices that lead there.
The outside has documentation addresses (RFC 5737). The metadata address of clouds, 169.254.169.254, leads there too while it exists.
"""
from __future__ import annotations

import ipaddress
import json
import os
import socket

from .namespaces import Namespace, NamespaceError, run_ip

ETH_P_ALL, SO_RCVBUFFORCE = 3, 33  # linux/if_ether.h, asm-generic/socket.h
METADATA = "169.254.169.254"


class Interface:
    """One end in a namespace: its name, addresses and the network that it stands on."""

    def __init__(self, namespace, name, address, hardware, network):
        self.namespace, self.name, self.address, self.mac, self.network = namespace, name, address, hardware, network

    def raw(self):
        """A socket that sends whole frames."""
        with self.namespace.entered():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            opened.bind((self.name, 0))
        return opened


class Network:
    """A network that the container stands on, with a caller and a neighbour of our own on the same bridge.

    Their addresses are the last ones of the subnet; Docker gives out the first ones.
    """

    def __init__(self, host, name, bridge, subnet, gateway, internal):
        self.host, self.name, self.bridge, self.gateway, self.internal = host, name, bridge, gateway, internal
        self.subnet = ipaddress.ip_network(subnet)
        self.mac = _sysfs("/sys/class/net/%s/address" % bridge)
        self.caller = self.neighbour = self.past_the_bridge = None

    def populate(self, number, prefix):
        last = self.subnet.broadcast_address
        self.caller = self._attach("%sc%d" % (prefix, number), str(last - 1))
        self.neighbour = self._attach("%sn%d" % (prefix, number), str(last - 2))
        # Whoever sends here reaches the neighbour past the bridge, with the caller's addresses.
        self.past_the_bridge = Interface(self.host, "%sn%d" % (prefix, number), self.caller.address, self.caller.mac, self)
        # The neighbour would be a router for whoever asks.
        self.neighbour.namespace.write("/proc/sys/net/ipv4/ip_forward", "1")

    def _attach(self, port, address):
        namespace = Namespace.new()
        namespace.ip("link add %s type veth peer name probe0" % port, "link set %s netns %d" % (port, 1), "link set lo up",
                     "address add %s/%d dev probe0" % (address, self.subnet.prefixlen), "link set probe0 up")
        self.host.ip("link set %s master %s" % (port, self.bridge), "link set %s up" % port)
        namespace.ip("route add default via %s" % self.gateway)
        with namespace.entered():
            hardware = link_address("probe0")
        return Interface(namespace, "probe0", address, hardware, self)


def _sysfs(path):
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError as error:
        raise NamespaceError("%s: %s" % (path, error.strerror)) from error


def addresses():
    """What ``ip address`` says in the namespace of the thread: list of dict."""
    return json.loads(run_ip("-json", "address").stdout or "[]")


def link_address(name):
    return next(link["address"] for link in addresses() if link["ifname"] == name)


def interfaces_of(namespace, networks):
    """The container's interfaces on the networks: dict of network name to Interface."""
    with namespace.entered():
        found = addresses()
    places = {}
    for link in found:
        for entry in link.get("addr_info", []):
            for network in networks:
                if entry["family"] == "inet" and ipaddress.ip_address(entry["local"]) in network.subnet:
                    places[network.name] = Interface(namespace, link["ifname"], entry["local"], link["address"], network)
    return places


class Outside:
    """The rest of the world: a namespace behind the host."""

    def __init__(self, host, subnet, prefix):
        self.subnet = ipaddress.ip_network(subnet)
        self.gateway = str(self.subnet.network_address + 1)
        # One address for the container, one for the callers.
        self.address, self.control_address = str(self.subnet.network_address + 2), str(self.subnet.network_address + 3)
        taken = run_ip("-json", "route", "show", "exact", subnet).stdout
        if json.loads(taken or "[]"):
            raise NamespaceError("outside %s: this host has a route to it already. Wait where another look at the claims is under way, else choose another "
                                 "documentation subnet" % subnet)
        self.namespace = Namespace.new()
        port = prefix + "o"
        self.namespace.ip("link add %s type veth peer name outside0" % port, "link set %s netns 1" % port, "link set lo up",
                          "address add %s/%d dev outside0" % (self.address, self.subnet.prefixlen),
                          "address add %s/%d dev outside0" % (self.control_address, self.subnet.prefixlen),
                          "address add %s/32 dev lo" % METADATA, "link set outside0 up")
        host.ip("address add %s/%d dev %s" % (self.gateway, self.subnet.prefixlen, port), "link set %s up" % port)
        self.has_metadata = self._lead(host, port)
        self.namespace.ip("route add default via %s" % self.gateway)

    def _lead(self, host, port):
        """Leads the metadata address here, unless the host leads it elsewhere on purpose."""
        try:
            host.ip("route add %s/32 via %s dev %s" % (METADATA, self.address, port))
        except NamespaceError:
            return False
        return True


def ear(namespace):
    """A socket that hears every frame of a namespace, those that arrive only."""
    with namespace.entered():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        opened.setblocking(False)
    return opened


def capabilities(pid):
    """The bounding set of a process: int."""
    with open("/proc/%d/status" % pid, encoding="ascii") as stream:
        return next(int(line.split()[1], 16) for line in stream if line.startswith("CapBnd"))


def unused_prefix():
    """A prefix for the names of this process's devices, at most 15 characters with what follows."""
    return "bp%x" % (os.getpid() & 0xFFFFFF)
