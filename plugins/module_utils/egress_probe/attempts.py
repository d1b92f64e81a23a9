# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attempts to get out, as data. Each is made twice: by the container, and by an unrestricted caller on the same bridge as its control.

An attempt that is made with a socket passes everything that the container's own packets pass. One that is made with a whole frame is what a
process could send that had gained CAP_NET_RAW; it goes round the rules inside the container's namespace and meets those of the host alone.
"""
from __future__ import annotations

import collections
import contextlib
import os
import socket

from . import frames
from .world import METADATA

# where: who must not hear it: outside, host, neighbour. network: an attempt once a network, or once at all.
# whole: made as a whole frame.
Attempt = collections.namedtuple("Attempt", ["name", "where", "each_network", "send", "whole"], defaults=[False])

MULTICAST, ALL_NODES, ALL_NODES_MAC, BROADCAST_MAC = "224.0.0.251", "ff02::1", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"
SOURCE_PORT = 4242
# Where our own listeners on the host are: below the ports that a kernel gives to whoever connects (from 32768 on), or any connection could have it already.
HOST_PORT = 24042


class Origin:
    """Who makes an attempt, on which of its networks, and by which mark it is known again.

    :ivar token: 12 octets that travel in the payload.
    :ivar outside: an address of the outside that is this side's alone.
    :ivar port: a port that no other attempt uses; for what carries no payload.
    """

    def __init__(self, interface, world, outside_address, port):
        self.interface, self.world, self.outside, self.port = interface, world, outside_address, port
        self.token = os.urandom(12)
        self.network, self.address, self.mac = interface.network, interface.address, interface.mac
        self.open = []

    def socket(self, family, kind, protocol=0):
        with self.interface.namespace.entered():
            opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        self.open.append(opened)
        return opened

    def frame(self, destination, kind, payload, source=None, vlan=None):
        opened = self.interface.raw()
        self.open.append(opened)
        opened.send(frames.ethernet(destination, source or self.mac, kind, payload, vlan))

    def datagram(self, source, destination, port=None):
        return frames.ipv4(source, destination, frames.UDP, frames.udp(source, destination, SOURCE_PORT, port or self.port, self.token))

    def close(self):
        for opened in self.open:
            opened.close()


def tcp(target, port=None):
    def send(origin):
        with contextlib.suppress(BlockingIOError):
            origin.socket(socket.AF_INET, socket.SOCK_STREAM).connect((target(origin), port or origin.port))
    return send


def udp(target, port=None, payload=None):
    def send(origin):
        opened = origin.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.sendto(payload(origin) if payload else origin.token, (target(origin), port or origin.port))
    return send


def packet(target, protocol, payload):
    def send(origin):
        origin.socket(socket.AF_INET, socket.SOCK_RAW, protocol).sendto(payload(origin), (target(origin), 0))
    return send


def outside(origin):
    """Each side has an address of its own there, so that a segment without payload can be told from its control's."""
    return origin.outside


def metadata(_origin):
    return METADATA


def gateway(origin):
    return origin.network.gateway


def host_outside(origin):
    """Another address of the host, which is reached through it."""
    return origin.world.outside.gateway


def neighbour(origin):
    return origin.network.neighbour.address


def unused(origin):
    return str(origin.network.subnet.broadcast_address - 3)


def question(origin):
    """A question that carries the token in the name."""
    return frames.dns_query(origin.token.hex() + ".invalid")


def through_gateway(make):
    return lambda origin: origin.frame(origin.network.mac, frames.IPV4, make(origin))


def through_neighbour(make):
    return lambda origin: origin.frame(origin.network.neighbour.mac, frames.IPV4, make(origin))


def forged_source(origin):
    return origin.datagram(unused(origin), outside(origin))


def own_frame(origin):
    return origin.datagram(origin.address, outside(origin))


def middle_of_a_connection(origin):
    segment = frames.tcp(origin.address, outside(origin), SOURCE_PORT, origin.port, frames.ACK, origin.token)
    return frames.ipv4(origin.address, outside(origin), frames.TCP, segment)


def fragments(origin):
    """In two pieces, of which only the first has ports by which a rule could know it; the token stands in each."""
    source, target = origin.address, neighbour(origin)
    datagram = frames.udp(source, target, SOURCE_PORT, origin.port, origin.token + bytes(4) + origin.token)
    for place in (0, 24):
        more = 0x2000 if not place else 0
        piece = datagram[place:place + 24] if more else datagram[place:]
        origin.frame(origin.network.neighbour.mac, frames.IPV4, frames.ipv4(source, target, frames.UDP, piece, fragment=more | place // 8))


def ipv6_datagram(origin, port):
    source = "fe80::%x:%x" % (int.from_bytes(os.urandom(2), "big"), 0x4242)
    return frames.ipv6(source, ALL_NODES, frames.UDP, frames.udp(source, ALL_NODES, SOURCE_PORT, port, origin.token))


def all_nodes(origin):
    origin.frame(ALL_NODES_MAC, frames.IPV6, ipv6_datagram(origin, HOST_PORT))


def claim_the_gateway(origin):
    """ARP: "the gateway is I"; padded with the token, as a short frame is padded with anything."""
    target = origin.network.neighbour
    payload = frames.arp_reply(origin.mac, origin.network.gateway, target.mac, target.address)
    origin.frame(target.mac, frames.ARP, payload + origin.token)


# As the container's own process would.
BY_SOCKET = [
    Attempt("TCP to the outside", "outside", False, tcp(outside)),
    Attempt("UDP to the outside", "outside", False, udp(outside)),
    Attempt("ICMP echo to the outside", "outside", False, packet(outside, frames.ICMP, lambda origin: frames.icmp_echo(origin.token))),
    Attempt("another protocol of IP (253) to the outside", "outside", False, packet(outside, frames.EXPERIMENTAL, lambda origin: origin.token)),
    Attempt("DNS by UDP to an outside resolver", "outside", False, udp(outside, 53, question)),
    Attempt("DNS by TCP to an outside resolver", "outside", False, tcp(outside, 53)),
    Attempt("metadata address of clouds", "outside", False, tcp(metadata)),
    Attempt("TCP to another address of the host", "host", False, tcp(host_outside, HOST_PORT)),
    Attempt("UDP to another address of the host", "host", False, udp(host_outside, HOST_PORT)),
    Attempt("TCP to the host by the gateway address", "host", True, tcp(gateway, HOST_PORT)),
    Attempt("UDP to the host by the gateway address", "host", True, udp(gateway, HOST_PORT)),
    Attempt("DNS to the host's resolver by the gateway address", "host", True, udp(gateway, 53, question)),
    Attempt("TCP to a neighbour", "neighbour", True, tcp(neighbour)),
    Attempt("UDP to a neighbour", "neighbour", True, udp(neighbour)),
    Attempt("ICMP echo to a neighbour", "neighbour", True, packet(neighbour, frames.ICMP, lambda origin: frames.icmp_echo(origin.token))),
    Attempt("UDP broadcast", "neighbour", True, udp(lambda origin: str(origin.network.subnet.broadcast_address))),
]
# As a process could that had gained CAP_NET_RAW.
BY_FRAME = [
    Attempt("frame to the outside through the gateway", "outside", True, through_gateway(own_frame)),
    Attempt("frame with a forged source to the outside", "outside", True, through_gateway(forged_source)),
    Attempt("segment of a connection that was never opened, to the outside", "outside", True, through_gateway(middle_of_a_connection)),
    Attempt("frame to the outside with a neighbour as the router", "outside", True, through_neighbour(own_frame)),
    Attempt("frame with a forged source to a neighbour", "neighbour", True,
            through_neighbour(lambda origin: origin.datagram(unused(origin), neighbour(origin)))),
    Attempt("datagram in fragments to a neighbour", "neighbour", True, fragments),
    Attempt("multicast to neighbours", "neighbour", True,
            lambda origin: origin.frame("01:00:5e:00:00:fb", frames.IPV4, origin.datagram(origin.address, MULTICAST))),
    Attempt("IPv6 to all nodes of the link: neighbours", "neighbour", True, all_nodes),
    Attempt("IPv6 to all nodes of the link: host", "host", True, all_nodes),
    Attempt("ARP that claims the gateway's address", "neighbour", True, claim_the_gateway),
    Attempt("frame with a VLAN tag to a neighbour", "neighbour", True, lambda origin: origin.frame(
        origin.network.neighbour.mac, frames.IPV4, origin.datagram(origin.address, neighbour(origin)), vlan=42)),
    Attempt("frame of another protocol (88b5) to a neighbour", "neighbour", True, lambda origin: origin.frame(
        origin.network.neighbour.mac, frames.EXPERIMENT, origin.token)),
]
ATTEMPTS = BY_SOCKET + [attempt._replace(whole=True) for attempt in BY_FRAME]
