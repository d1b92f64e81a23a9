# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames and packets, made by hand: what a socket of the kernel would not send. Pure functions of bytes.

Sources: IEEE 802.3 and 802.1Q, RFC 791 (IPv4), 768 (UDP), 9293 (TCP), 826 (ARP), 8200 (IPv6), 792 (ICMP), 1035 (DNS), 3692 (protocol 253).
Addresses are str, hardware addresses like ``02:42:ac:1e:00:0a``.
"""
from __future__ import annotations

import ipaddress
import struct

IPV4, ARP, VLAN, IPV6, EXPERIMENT = 0x0800, 0x0806, 0x8100, 0x86DD, 0x88B5
ICMP, TCP, UDP, EXPERIMENTAL = 1, 6, 17, 253
SYN, ACK = 0x02, 0x10


def mac(address):
    return bytes.fromhex(address.replace(":", ""))


def packed(address):
    return ipaddress.ip_address(address).packed


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination, source, kind, payload, vlan=None):
    tag = struct.pack("!HH", VLAN, vlan) if vlan is not None else b""
    return mac(destination) + mac(source) + tag + struct.pack("!H", kind) + payload


def ipv4(source, destination, protocol, payload, fragment=0):
    """:param fragment: offset in units of 8 octets, with 0x2000 where more follow; 0 for a whole packet."""
    def header(found):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 4242, fragment, 64, protocol, found, packed(source), packed(destination))
    return header(checksum(header(0))) + payload


def ipv6(source, destination, protocol, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 255, packed(source), packed(destination)) + payload


def _summed(source, destination, protocol, segment, place):
    pseudo = packed(source) + packed(destination) + struct.pack("!IHH", len(segment), 0, protocol)
    return segment[:place] + struct.pack("!H", checksum(pseudo + segment) or 0xFFFF) + segment[place + 2:]


def udp(source, destination, source_port, port, payload):
    return _summed(source, destination, UDP, struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload, 6)


def tcp(source, destination, source_port, port, flags, payload=b""):
    return _summed(source, destination, TCP, struct.pack("!HHIIBBHHH", source_port, port, 1, 1, 5 << 4, flags, 1024, 0, 0) + payload, 16)


def arp_reply(source_mac, source, target_mac, target):
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + mac(source_mac) + packed(source) + mac(target_mac) + packed(target)


def icmp_echo(payload):
    def header(found):
        return struct.pack("!BBHHH", 8, 0, found, 4242, 1)
    return header(checksum(header(0) + payload)) + payload


def dns_query(name):
    """A query for the A record of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack("!HHHHHH", 4242, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def dns_answer(message):
    """How a query was answered: tuple of the response code (0: no error, 2: server failure, 3: no such name) and the number of answers."""
    _number, flags, _questions, answers = struct.unpack("!HHHH", message[:8])
    return flags & 0xF, answers


def is_opening(frame, address, port):
    """Whether an Ethernet frame is the first segment of a TCP connection to an address and port."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != TCP or frame[30:34] != packed(address):
        return False
    segment = frame[14 + (frame[14] & 0xF) * 4:]
    return len(segment) >= 14 and segment[2:4] == struct.pack("!H", port) and segment[13] & (SYN | ACK) == SYN
