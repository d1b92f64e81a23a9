# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of processor, networks and container engine. Arguments as in judge.py."""
from __future__ import annotations

import collections
import ipaddress

from ..throughput.topology import expanded, listed
from .finding import ERROR, WARNING, Finding, version

# The engine that container_engine wants: CDI, and several networks at the start of a container.
ENGINE_MINIMUM = (25, 0)
WIDE = 8  # bits; a route that is as wide can be a piece of a default route


def numa(_inventory, host):
    """One NUMA node a socket: a split of the memory halves what one reader gets of it."""
    if (host["cpu"]["numa_nodes"] or 0) > (host["cpu"]["sockets"] or 1):
        yield Finding("numa", WARNING, "NUMA nodes", "%d on %d socket(s)" % (host["cpu"]["numa_nodes"], host["cpu"]["sockets"] or 1), "one a socket (NPS1)",
                      "Set NPS1 in the firmware (this collection never does): the reference host fell from 10.9 to under 7 tok/s with NPS4.")


def _numbers(text):
    """CPUs of a list such as "0-95"; None where it is none."""
    try:
        return set(expanded(text or ""))
    except ValueError:
        return None


def _usable(cpu):
    """Numbers of the CPUs that a service may run on: those that are online and allowed; as many as there are where nobody says which."""
    online, allowed = _numbers(cpu["online"]), _numbers(cpu["allowed"])
    found = set(range(cpu["threads"] or 0)) if online is None else online
    return found & allowed if allowed and found & allowed else found


def threads(inventory, host):
    """Threads and CPUs of a service against the cores of the host that it may use."""
    usable, quota = _usable(host["cpu"]), host["cpu"]["quota"]
    for service in inventory["bunker_services"]:
        asked = [key for key, free in (("threads", ("auto",)), ("cpuset", ("auto", ""))) if service[key] not in free]
        if asked and not (host["cpu"]["cores"] and host["cpu"]["threads"]):
            yield Finding("threads", WARNING, "service %s: %s" % (service["name"], " and ".join(asked)), ", ".join(str(service[key]) for key in asked),
                          "a number of cores to compare with, which this processor does not tell", "See that the host has them: lscpu.")
            continue
        if service["threads"] != "auto" and host["cpu"]["cores"] and int(service["threads"]) > host["cpu"]["cores"]:
            number = int(service["threads"])
            over = number > len(usable)
            yield Finding("threads", ERROR if over else WARNING, "service %s: threads" % service["name"], str(number),
                          "at most the %d physical cores" % host["cpu"]["cores"], "Set threads: auto.")
        elif service["threads"] != "auto" and quota and int(service["threads"]) > quota:
            yield Finding("threads", WARNING, "service %s: threads" % service["name"], service["threads"],
                          "at most %d: the control groups of this host allow %.2f CPUs" % (max(int(quota), 1), quota), "Set threads: auto, or raise the limit.")
        if service["cpuset"] not in ("auto", "") and usable and not set(expanded(service["cpuset"])) <= usable:
            whole = usable == set(range(len(usable)))
            yield Finding("threads", ERROR, "service %s: cpuset" % service["name"], service["cpuset"],
                          "CPUs 0 to %d" % (len(usable) - 1) if whole else "CPUs of %s, which are online and allowed" % listed(usable), "Set cpuset: auto.")


def _but_default(routes):
    """(route, its network) of each route that is no piece of a default route: VPNs set wide ones through one device that lead everywhere together."""
    found = [(route, ipaddress.ip_network(route["destination"], strict=False)) for route in routes]
    pieces = collections.defaultdict(list)
    for route, network in found:
        if network.prefixlen <= WIDE:
            pieces[route["device"], network.version].append(network)
    everywhere = {key for key, networks in pieces.items() if next(ipaddress.collapse_addresses(networks)).prefixlen == 0}
    return [(route, network) for route, network in found if network.prefixlen > WIDE or (route["device"], network.version) not in everywhere]


def overlap(inventory, host):
    """A subnet of networks_definitions is nobody else's."""
    own = {network["bridge"] for network in inventory["networks_definitions"]}
    routes = [("route %s dev %s" % (route["destination"], route["device"]), network) for route, network in _but_default(host["routes"])
              if route["device"] not in own]
    for network in inventory["networks_definitions"]:
        subnet = ipaddress.ip_network(network["subnet"])
        engines = [("Docker network %s %s" % (other["name"], other["subnet"]), ipaddress.ip_network(other["subnet"], strict=False))
                   for other in host["docker_networks"] if other["name"] != network["name"]]
        for name, other in routes + engines:
            if other.version == subnet.version and other.prefixlen and other.overlaps(subnet):
                yield Finding("overlap", ERROR, "network %s %s" % (network["name"], subnet), name, "a subnet of its own",
                              "Choose another subnet in networks_definitions, and other service addresses.")
                break


def engine(_inventory, host):
    """An engine that is there is new enough."""
    if host["engine"] and version(host["engine"]) < ENGINE_MINIMUM:
        yield Finding("engine", ERROR, "Docker engine", host["engine"], "%d.%d or newer" % ENGINE_MINIMUM,
                      "Remove it and set container_engine_origin: docker, or upgrade the distribution.")
