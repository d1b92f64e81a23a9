# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-checks of a pool: what several hosts say together. Pure functions, as inventory_rules."""
from __future__ import annotations

import difflib
import ipaddress
import re

from .inventory_rules import ALIAS, Problem

MEMBER_EXAMPLE = "Write for example {name: north, address: 10.0.0.1, models: [oracle]}."
# What HAProxy takes as the name of a server, and a certificate as the name of a host.
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")  # Linux: at most 15 characters
# What a number may be: lowest, highest, its unit, an example.
NUMBERS = {"pool_check_interval": (100, 60000, "milliseconds", 1000), "pool_queue": (1, 100000, "requests", 64),
           "pool_queue_wait": (1, 3600, "seconds", 30), "pool_router_id": (1, 255, "VRRP's identifiers", 71),
           "pool_certificate_days": (3, 825, "days", 90), "pool_drain": (0, 86400, "seconds", 120)}
PORTS = ("pool_port", "pool_member_port", "pool_agent_port")
SAME = ("pool_members", "pool_doors", "pool_address", *PORTS)  # what all hosts of a pool say alike


def _is_address(text):
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def check_hosts(inventory, hosts):
    """Who belongs to the pool, by name and address.

    :param hosts: names of all hosts of the inventory.
    """
    for role in ("members", "doors"):
        entries = inventory["pool_" + role]
        if not entries:
            yield Problem("pool_%s: []" % role, "a pool has at least one of them", MEMBER_EXAMPLE if role == "members" else "Name one host or two.")
        for field in ("name", "address"):
            values = [entry[field] for entry in entries]
            for value in sorted({value for value in values if values.count(value) > 1}):
                yield Problem("pool_%s: %s %s twice" % (role, field, value), "each is another host", "Correct or remove one.")
        for entry in entries:
            where = "pool_%s: %s" % (role, entry["name"])
            if not HOST_NAME.fullmatch(entry["name"]):
                yield Problem(where, "a host of a pool has a name that a certificate can have: letters, digits, dots and dashes", "Rename it in the inventory.")
            elif entry["name"] not in hosts:
                near = difflib.get_close_matches(entry["name"], hosts, n=1)
                yield Problem(where, "no host of the inventory has that name",
                              "Did you mean %s?" % near[0] if near else "Known: %s." % ", ".join(sorted(hosts)))
            if not _is_address(entry["address"]):
                yield Problem("%s: address %s" % (where, entry["address"]), "an address is one of the host's, IPv4 or IPv6", "See there: ip -brief address")
    if len(inventory["pool_doors"]) > 2:
        yield Problem("pool_doors: %d" % len(inventory["pool_doors"]), "a pool has one door or two", "Remove the others.")
    for entry in inventory["pool_doors"]:
        for other in inventory["pool_members"]:
            if entry["name"] == other["name"] and entry["address"] != other["address"]:
                yield Problem("pool_doors: %s: address %s" % (entry["name"], entry["address"]), "as a member that host has the address %s, and doors and "
                              "members talk by one" % other["address"], "Write the same address in both.")


def check_members(inventory):
    """What members are asked for."""
    for entry in inventory["pool_members"]:
        where = "pool_members: %s" % entry["name"]
        if not entry["models"]:
            yield Problem("%s: models []" % where, "a member answers for at least one model", "Name services of its gateway.")
        for model in entry["models"]:
            if not ALIAS.fullmatch(model) or len(model) > 128:
                yield Problem("%s: models: %s" % (where, model), "a model's name has letters, digits and . _ : @ + - /, at most 128", "Correct it.")
        for model in sorted({model for model in entry["models"] if entry["models"].count(model) > 1}):
            yield Problem("%s: models: %s twice" % (where, model), "a model is named once", "Remove one.")
        for field, lowest, highest in (("weight", 1, 256), ("streams", 1, 100000)):
            if not lowest <= entry[field] <= highest:
                yield Problem("%s: %s %d" % (where, field, entry[field]), "it is a number from %d to %d" % (lowest, highest), "Write for example 64.")


def check_address(inventory):
    """Where clients ask."""
    address, doors = inventory["pool_address"], inventory["pool_doors"]
    if not _is_address(address):
        yield Problem("pool_address '%s'" % address, "clients know an IP address of the pool", "Write for example 10.0.0.100.")
    elif len(doors) == 2 and address in [entry["address"] for entry in doors + inventory["pool_members"]]:
        yield Problem("pool_address %s" % address, "it is one host's own, and would not move when that host is gone", "Choose an address that no host has.")
    if len(doors) == 2 and not INTERFACE.fullmatch(inventory["pool_interface"]):
        yield Problem("pool_interface '%s'" % inventory["pool_interface"], "keepalived puts the address of two doors on an interface that both have",
                      "See there: ip -brief link")
    for name, (lowest, highest, unit, example) in NUMBERS.items():
        if not lowest <= inventory[name] <= highest:
            yield Problem("%s %d" % (name, inventory[name]), "it is a number of %s from %d to %d" % (unit, lowest, highest), "Write for example %d." % example)


def check_ports(inventory, host):
    """Ports, against each other and against what else listens on this host."""
    ports = [(name, inventory[name]) for name in PORTS]
    others = {name: inventory[name] for name in ("gateway_port", "gateway_metrics_port", "observability_prometheus_port", "observability_node_exporter_port")}
    for position, (name, port) in enumerate(ports):
        if not 1 <= port <= 65535:
            yield Problem("%s %d" % (name, port), "a port is a number from 1 to 65535", "Choose another.")
        for other, taken in ports[:position]:
            if port == taken:
                yield Problem("%s and %s %d" % (other, name, port), "each needs a port of its own", "Choose another for one of them.")
        if any(entry["name"] == host for entry in inventory["pool_members"]):
            for other in sorted(name_ for name_, taken in others.items() if taken == port):
                yield Problem("%s %d" % (name, port), "%s is the same, and both listen on this host" % other, "Choose another.")


def check_this_host(inventory, host):
    """What this host is in the pool, against what it is by itself."""
    member = next((entry for entry in inventory["pool_members"] if entry["name"] == host), None)
    if member is None and host not in [entry["name"] for entry in inventory["pool_doors"]]:
        yield Problem("pool_enabled true of %s" % host, "it is neither among pool_members nor among pool_doors",
                      "Name it there, or set pool_enabled: false for it.")
    services = [service["name"] for service in inventory["bunker_services"]]
    known = services + [provider["name"] for provider in inventory["gateway_providers"] if provider["enabled"]] + sorted(inventory["gateway_aliases"])
    for model in member["models"] if member and services else ():
        if model not in known:
            near = difflib.get_close_matches(model, known, n=1)
            yield Problem("pool_members: %s: models: %s" % (host, model), "the gateway of this host has no such service, provider or alias",
                          "Did you mean %s?" % near[0] if near else "Known: %s." % ", ".join(known))


def _alike(variables, name):
    """A variable of a pool in which only what matters differs: the order of doors does, that of members and of their models does not."""
    if name != "pool_members":
        return variables[name]
    return sorted((dict(entry, models=sorted(entry["models"])) for entry in variables[name]), key=lambda entry: entry["name"])


def check_same(inventory, host, others):
    """This host's pool against what the other hosts of it say of it. Hosts of another pool of the inventory have no say.

    :param others: dict of a host's name to its variables of the pool, with all defaults; of those that could not be read there is none.
    """
    doors = [entry["name"] for entry in inventory["pool_doors"]]
    for other in dict.fromkeys(doors + [entry["name"] for entry in inventory["pool_members"]]):
        said = others.get(other)
        if other == host or not said or not said["pool_enabled"]:
            continue
        # Of VRRP only the doors know.
        for name in SAME + (("pool_router_id",) if host in doors and other in doors else ()):
            if _alike(inventory, name) != _alike(said, name):
                yield Problem("%s of %s %s, of %s %s" % (name, host, _short(inventory[name]), other, _short(said[name])),
                              "hosts of one pool have one description of it; each would do another thing", "Write it once for all of them, in group_vars.")


def _short(value):
    """A value as a message has it."""
    if isinstance(value, list):
        return ", ".join("%s at %s" % (entry["name"], entry["address"]) + (
            " (%s; weight %d, streams %d)" % (", ".join(entry["models"]), entry["weight"], entry["streams"]) if "models" in entry else "") for entry in value)
    return str(value)


def check(inventory, host, hosts, others=None):
    """All of them: list of :class:`Problem`. Where the pool is off, there is nothing to check.

    :param inventory: as of inventory_rules.check().
    :param host: name in the inventory of the host whose variables these are.
    :param hosts: names of all hosts of the inventory.
    :param others: as of :func:`check_same`; None where nobody knows the other hosts' variables.
    """
    if not inventory["pool_enabled"]:
        return []
    problems = list(check_hosts(inventory, hosts)) + list(check_members(inventory)) + list(check_address(inventory))
    problems += list(check_ports(inventory, host)) + list(check_this_host(inventory, host))
    return problems + list(check_same(inventory, host, others or {}))
