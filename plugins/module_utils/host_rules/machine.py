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
MANY = 1 << 16  # more CPUs than any host has
WIDE = 8  # bits; a route that is as wide can be a piece of a default route
# What a VPN may leave out of everything, since no host has such an address: this network, multicast, what is reserved (RFC 1122, 3.2.1.3; RFC 5771).
NOBODYS = {4: [ipaddress.ip_network(one) for one in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")], 6: [ipaddress.ip_network("ff00::/8")]}


def numa(_inventory, host):
    """One NUMA node a socket: a split of the memory halves what one reader gets of it."""
    nodes, sockets, hypervisor = host["cpu"]["numa_nodes"] or 0, host["cpu"]["sockets"], host["cpu"].get("hypervisor")
    if sockets and nodes > sockets and hypervisor:
        yield Finding("numa", WARNING, "NUMA nodes", "%d on %d socket(s) of a virtual machine (%s)" % (nodes, sockets, hypervisor), "one a socket",
                      "Give the virtual machine one node, with CPUs and memory of one socket of its host, or NPS1 in that host's firmware.")
    elif sockets and nodes > sockets:
        yield Finding("numa", WARNING, "NUMA nodes", "%d on %d socket(s)" % (nodes, sockets), "one a socket (NPS1)",
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
        most = min(host["cpu"]["cores"] or len(usable), len(usable) or MANY)
        if service["threads"] != "auto" and host["cpu"]["cores"] and int(service["threads"]) > most:
            number = int(service["threads"])
            few = "at most %d, as many CPUs as it may use (%s)" % (most, listed(usable)) if most < host["cpu"]["cores"] else ""
            yield Finding("threads", ERROR if number > (len(usable) or MANY) else WARNING, "service %s: threads" % service["name"], str(number),
                          few or "at most the %d physical cores" % host["cpu"]["cores"], "Set threads: auto.")
        elif service["threads"] != "auto" and quota and int(service["threads"]) > max(int(quota), 1):
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
    everywhere = {key for key, networks in pieces.items()
                  if len(networks) > 1 and next(ipaddress.collapse_addresses(networks + NOBODYS[key[1]])).prefixlen == 0}
    return [(route, network) for route, network in found if network.prefixlen > WIDE or (route["device"], network.version) not in everywhere]


def _in_the_way(network, routes, engines):
    """(whether it only is wider, its name) of whatever overlaps a subnet, the worst first; None where nothing does.

    Of routes the most specific one counts (RFC 1812, 5.2.4.3): a wider one of the main table only hides what of it lies in the subnet. Other tables are asked
    before the main one (ip-rule(8)), and the engine refuses networks that overlap, whichever is wider.
    """
    subnet = ipaddress.ip_network(network["subnet"])
    found = [(route.get("table") is None and other.prefixlen < subnet.prefixlen, "route %s dev %s%s" % (
        route["destination"], route["device"], " table %s" % route["table"] if route.get("table") else "")) for route, other in routes
        if other.version == subnet.version and other.prefixlen and other.overlaps(subnet)]
    for one in engines:
        other = ipaddress.ip_network(one["subnet"], strict=False)
        if one["name"] != network["name"] and other.version == subnet.version and other.overlaps(subnet):
            found.append((False, "Docker network %s %s" % (one["name"], one["subnet"])))
    return min(found, key=lambda one: one[0], default=None)


def overlap(inventory, host):
    """A subnet of networks_definitions is nobody else's. What was made here and is not in the inventory any more leaves before another takes its place."""
    named = {network["name"] for network in inventory["networks_definitions"]}
    leaving = [one for one in host["docker_networks"] if one.get("made_here") and one["name"] not in named]
    engines = [one for one in host["docker_networks"] if one not in leaving]
    own = {network["bridge"] for network in inventory["networks_definitions"]} | {one["bridge"] for one in leaving}
    routes = [(route, network) for route, network in _but_default(host["routes"]) if route["device"] not in own]
    for network in inventory["networks_definitions"]:
        wider, name = _in_the_way(network, routes, engines) or (None, None)
        what = "network %s %s" % (network["name"], ipaddress.ip_network(network["subnet"]))
        if wider:
            yield Finding("overlap", WARNING, what, name + ", which is wider",
                          "nothing behind it that has an address of this subnet: the bridge's own route goes before it",
                          "Where something there is wanted choose another subnet in networks_definitions, and other service addresses.")
        elif name:
            yield Finding("overlap", ERROR, what, name, "a subnet of its own", "Choose another subnet in networks_definitions, and other service addresses.")


def engine(_inventory, host):
    """An engine that is there is new enough, speaks with its client, and can make networks."""
    refused = host.get("engine_refuses")
    if host["engine"] and version(host["engine"]) < ENGINE_MINIMUM:
        yield Finding("engine", ERROR, "Docker engine", host["engine"], "%d.%d or newer" % ENGINE_MINIMUM,
                      "Remove it and set container_engine_origin: docker, or upgrade the distribution.")
    elif refused:
        newer = version(refused["client"]) > version(refused["needed"])
        yield Finding("engine", ERROR, "Docker engine", "a client (docker) of API %s, which the engine refuses" % refused["client"],
                      "API %s%s" % (refused["needed"], " at most: the engine is older than its client" if newer
                                    else ": from version 29 on the engine speaks none older than 1.44, of version 25"),
                      "%s See which is called: command -v docker." % (
                          "Upgrade the engine as the client was: apt-get install --only-upgrade docker-ce docker.io, then systemctl restart docker." if newer
                          else "Upgrade the client as the engine was: apt-get install --only-upgrade docker-ce-cli docker-cli."))
    root = host.get("engine_root") or ""
    if root.startswith("/var/snap/"):
        yield Finding("engine", ERROR, "Docker engine", "one of a snap (%s)" % root, "one of packages: a snap's has its own daemon.json and no CDI",
                      "snap remove docker, which takes its containers and volumes with it; container_engine installs the distribution's.")
    elif "/.local/share/docker" in root:
        yield Finding("engine", ERROR, "Docker engine", "one without root (%s)" % root, "the system's: networks, the seal and CDI are its own",
                      "Let docker ask it: unset DOCKER_HOST for root, docker context use default.")
    if (host.get("engine_firewall") or "").startswith("nftables") and host.get("forwarding") is False:
        yield Finding("engine", ERROR, "Docker engine, firewall-backend %s" % host["engine_firewall"], "net.ipv4.ip_forward = 0",
                      "1: with that backend the engine does not switch it on itself, and makes no bridge without it",
                      "echo net.ipv4.ip_forward=1 > /etc/sysctl.d/90-ip-forward.conf && sysctl --system. It also lets packets pass between other networks of "
                      "this host: a policy of drop in a forward chain of your own keeps them apart.")
