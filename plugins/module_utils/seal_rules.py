# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seal: nftables rules that let a sealed service answer and never initiate. Pure functions that return text for nft.

Three layers, because each can fail alone:

- Two tables of the host with the same rules, ``bunker_seal`` and ``bunker_seal_standing``, before the filter hooks. A drop there is final
  whatever Docker, firewalld or ufw accept later. The first belongs to a living process (``flags owner``), so no foreign ``nft flush ruleset``
  touches it, but it goes with its process; the second outlives the process, but not a flush. Only both at once would open the seal.
- In the bridge family, because frames between two ports of one bridge do not cross the hooks of ``inet``
  (unless net.bridge.bridge-nf-call-iptables is set, where both judge and agree).
- A table inside the network namespace of each sealed container, ``bunker_seal_inside``. It holds on whatever network the container is
  connected to later, whatever its address there.

Matched are a service's fixed addresses *and* the hardware addresses that follow from them, so that neither a forged source nor IPv6 passes.

Sources: nft(8) on owner, priorities and payload expressions; netfilter's own order of hooks.
"""
from __future__ import annotations

import hashlib
import ipaddress

OWNED, STANDING, INSIDE = "bunker_seal", "bunker_seal_standing", "bunker_seal_inside"
LABEL = "protocol_omni.bunker.sealed"

# What a server may send in answer. A connection has two directions; the one that a service opened itself is never its reply.
ANSWERS = ("ct state established ct direction reply accept",
           "ct state related ct direction reply ip protocol icmp accept")
# The bridge family has no connection tracking on many kernels, so there the flags of TCP must do: all segments of an accepted connection
# carry ACK or RST, and none SYN alone. A neighbour that collected such segments could as well connect to the service itself.
ANSWERS_ON_BRIDGE = ("tcp flags & (syn | ack) == syn {refuse}",
                     "tcp flags & (ack | rst) != 0 accept",
                     "icmp type {{ echo-reply, destination-unreachable }} accept")


def hardware_address(address):
    """The MAC address of a container with a fixed IPv4 address: str.

    Docker's own scheme of old (02:42 and the four octets): unicast and locally administered, as unique as the address.
    """
    return "02:42:" + ":".join("%02x" % octet for octet in ipaddress.IPv4Address(address).packed)


def endpoints_of(service, networks):
    """Where a service stands: list of dict with service, bridge, subnet, address and mac."""
    by_name = {network["name"]: network for network in networks}
    return [{"service": service["name"], "bridge": by_name[place["name"]]["bridge"], "subnet": by_name[place["name"]]["subnet"],
             "address": place["address"], "mac": hardware_address(place["address"])} for place in service["networks"]]


def allowance_match(allowance):
    """The nft expression of a listed destination."""
    return "ip daddr %(to)s %(protocol)s dport %(port)d" % allowance


def refusal(name):
    """Statements that log (a little), count and drop."""
    return ["limit rate 10/minute burst 10 packets log prefix \"bunker seal, %s: \"" % name, "counter drop"]


def chain(name, statements, hook=""):
    lines = ["\tchain %s {" % name]
    if hook:
        lines.append("\t\ttype filter hook %s; policy accept" % hook)
    return lines + ["\t\t" + statement for statement in statements] + ["\t}"]


def table(family, name, chains, header=()):
    """A table that replaces the one of its name, in one transaction."""
    opening = "table %s %s" % (family, name)
    return [opening, "delete " + opening, opening + " {"] + ["\t" + line for line in header] + [line for lines in chains for line in lines] + ["}"]


def service_chain_name(service):
    return "service_" + service.replace("-", "_")


def inet_chains(networks, endpoints, allowances):
    """Chains for everything that is routed, and for the host itself."""
    sources, chains = [], []
    services = list(dict.fromkeys(endpoint["service"] for endpoint in endpoints))
    for endpoint in endpoints:
        for match in ("ether saddr %(mac)s", "ip saddr %(address)s"):
            sources.append('iifname "%s" %s goto %s' % (endpoint["bridge"], match % endpoint, service_chain_name(endpoint["service"])))
    for service in services:
        listed = [allowance_match(allowance) + " accept" for allowance in allowances if allowance["from"] == service]
        chains.append(chain(service_chain_name(service), [*ANSWERS, *listed, *refusal(service)]))
    for number, network in enumerate((network for network in networks if network["internal"]), 1):
        listed = [allowance_match(allowance) + " accept" for allowance in allowances if allowance["from"] == network["name"]]
        # With bridge-nf-call-iptables frames between two ports of the bridge come by here too; they do not leave it.
        sources += ['iifname "%s" oifname "%s" accept' % (network["bridge"], network["bridge"]),
                    'iifname "%s" goto network_%d' % (network["bridge"], number)]
        chains.append(chain("network_%d" % number, [*ANSWERS, *listed, *refusal(network["name"])]))
    return chains + [chain("sources", sources)] + [chain(hook, ["jump sources"], "%s priority filter - 10" % hook) for hook in ("forward", "input")]


def bridge_chains(endpoints, allowances):
    """Chains for frames between ports of one bridge, and for those to the host that are not IPv4."""
    chains, forward, inward = [], [], []
    for number, endpoint in enumerate(endpoints, 1):
        name = "endpoint_%d" % number
        listed = [allowance_match(allowance) + " accept" for allowance in allowances
                  if allowance["from"] == endpoint["service"] and ipaddress.ip_network(allowance["to"]).overlaps(ipaddress.ip_network(endpoint["subnet"]))]
        own = ["ether type arp arp saddr ip %(address)s accept" % endpoint,
               "ether type != ip goto refuse",
               "ip saddr != %(address)s goto refuse" % endpoint]
        answers = [statement.format(refuse="goto refuse") for statement in ANSWERS_ON_BRIDGE]
        chains += [chain(name + "_to_host", own), chain(name, ["jump %s_to_host" % name, "ip daddr != %(subnet)s goto refuse" % endpoint,
                                                               *listed, *answers, "goto refuse"])]
        # Nobody else speaks with a service's address.
        impostor = ["ip saddr %(address)s ether saddr != %(mac)s goto refuse" % endpoint,
                    "arp saddr ip %(address)s ether saddr != %(mac)s goto refuse" % endpoint]
        inward += ["ether saddr %s goto %s_to_host" % (endpoint["mac"], name), *impostor]
        forward += ["ether saddr %s goto %s" % (endpoint["mac"], name), *impostor]
    return [chain("refuse", refusal("bridge")), *chains, chain("forward", forward, "forward priority -10"), chain("input", inward, "input priority -10")]


def host_tables(name, networks, endpoints, allowances):
    """Both tables of one name, as text whose first line tells the hash of all the rest."""
    header = ["flags owner"] if name == OWNED else []
    bodies = {"inet": inet_chains(networks, endpoints, allowances), "bridge": bridge_chains(endpoints, allowances)}
    digest = hashlib.sha256(repr(bodies).encode()).hexdigest()[:16]
    return [line for family, chains in bodies.items() for line in table(family, name, chains, ['comment "%s"' % digest, *header])], digest


def inside_table(service, allowances):
    """The table inside the container's own network namespace. Loopback stays: the engine's name server answers there."""
    listed = [allowance_match(allowance) + " accept" for allowance in allowances if allowance["from"] == service]
    output = ['oifname "lo" accept', *ANSWERS, *listed, "counter drop"]
    return table("inet", INSIDE, [chain("output", output, "output priority filter - 10")])


def rules(networks, services, allowances):
    """Everything that the seal loads.

    :param networks: networks_definitions.
    :param services: complete service definitions.
    :param allowances: networks_allowances.
    :returns: dict with ``digest`` (str) and ``files``, dict of file name to text: ``owned.nft``, ``standing.nft`` and
        ``inside-SERVICE.nft`` of each sealed service.
    """
    sealed = [service for service in services if service["sealed"]]
    endpoints = [endpoint for service in sealed for endpoint in endpoints_of(service, networks)]
    owned, digest = host_tables(OWNED, networks, endpoints, allowances)
    files = {"owned.nft": owned, "standing.nft": host_tables(STANDING, networks, endpoints, allowances)[0]}
    files.update(("inside-%s.nft" % service["name"], inside_table(service["name"], allowances)) for service in sealed)
    return {"digest": digest, "files": {name: "\n".join(lines) + "\n" for name, lines in files.items()}}
