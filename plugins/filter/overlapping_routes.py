# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: overlapping_routes
short_description: Existing routes that overlap wanted subnets
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Compares networks with the routes of a host. Routes over a network's own bridge are its own and do not count, nor
    does the default route.
options:
  _input:
    description: Networks with C(name), C(subnet) and C(bridge).
    type: list
    elements: dict
    required: true
  routes:
    description: Routes as C(ip -json route show table all) prints them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Name the overlaps
  ansible.builtin.debug:
    msg: "{{ networks_definitions | protocol_omni.bunker.overlapping_routes(routes) }}"
"""

RETURN = r"""
_value:
  description: One sentence an overlap, naming both.
  type: list
  elements: str
"""

import ipaddress


def overlapping_routes(networks, routes):
    """Sentences that name each network and the route it overlaps."""
    found = []
    own = {network["bridge"] for network in networks}
    for network in networks:
        subnet = ipaddress.ip_network(network["subnet"])
        for route in routes:
            if route.get("dst") in (None, "default") or route.get("dev") in own:
                continue
            destination = ipaddress.ip_network(route["dst"], strict=False)
            if destination.version == subnet.version and destination.overlaps(subnet):
                found.append("network %s %s overlaps the route %s dev %s" % (network["name"], subnet, route["dst"], route.get("dev", "?")))
    return found


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"overlapping_routes": overlapping_routes}
