# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnets that nobody else on the host has."""
from __future__ import annotations

import ipaddress

from ..host_rules import machine

NAMES = (("omni-network", "br-omni", False), ("internal_brain", "br-brain", True))
# The collection's own first, then what RFC 1918 has besides, wide ones first.
POOLS = (("172.30.0.0/15", 16), ("172.16.0.0/12", 16), ("10.0.0.0/8", 16), ("192.168.0.0/16", 24), ("172.16.0.0/12", 24), ("10.0.0.0/8", 24))


def _is_free(subnet, host):
    wanted = {"networks_definitions": [{"name": "wanted", "subnet": str(subnet), "bridge": ""}]}
    known = dict(host, docker_networks=[network for network in host["docker_networks"] if network["name"] not in [name for name, _bridge, _in in NAMES]],
                 routes=[route for route in host["routes"] if route["device"] not in [bridge for _name, bridge, _in in NAMES]])
    return not any(machine.overlap(wanted, known))


def free(host):
    """A subnet for each of the two networks, by preflight's own rule of what is in the way.

    :param host: what host_info returned.
    :returns: list of dict of name, subnet, bridge, internal; None where not even a /24 is free.
    """
    found = []
    for pool, prefix in POOLS:
        for subnet in ipaddress.ip_network(pool).subnets(new_prefix=prefix):
            if len(found) == len(NAMES):
                return found
            if _is_free(subnet, host) and not any(ipaddress.ip_network(one["subnet"]).overlaps(subnet) for one in found):
                name, bridge, internal = NAMES[len(found)]
                found.append({"name": name, "subnet": str(subnet), "bridge": bridge, "internal": internal})
    return found if len(found) == len(NAMES) else None


def address(network, number):
    """The host of that number in a network, str."""
    return str(ipaddress.ip_network(network["subnet"]).network_address + number)
