# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of the networks and of their seal: the engine's list and nft's text, taken apart. Pure functions."""
from __future__ import annotations

import ipaddress
import json
import re

from .seal_rules import OWNED, STANDING

BRIDGE_NAME = "com.docker.network.bridge.name"
# Both tables of both families, in the order in which they are told.
TABLES = tuple((family, name) for family in ("inet", "bridge") for name in (OWNED, STANDING))


def recorded(text):
    """Names of the networks that were made here: list of str, [] where the record is none.

    :param text: of the role's record, a JSON list.
    """
    names = parsed(text or "[]")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def bridge(found):
    """The interface of one network of the engine's list: the name that it was given, else the engine's own; "" for one that has none.

    :param found: dict, as the engine's ``/networks`` or ``docker network inspect`` tell it.
    """
    options, identity = found.get("Options"), found.get("Id")
    given = options.get(BRIDGE_NAME) if isinstance(options, dict) else None
    if isinstance(given, str) and given:
        return given
    return "br-" + identity[:12] if found.get("Driver") == "bridge" and isinstance(identity, str) and identity else ""


def parsed(text):
    """What a JSON text says, None of one that is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def status(text, unit):
    """What a unit says of itself, "" where it says nothing.

    :param text: what ``systemctl show --property Id,StatusText`` prints of several units, a blank line between them.
    """
    for block in text.split("\n\n"):
        known = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if known.get("Id") == unit:
            return known.get("StatusText", "")
    return ""


def network(found):
    """What counts of one network of the engine's ``/networks``: dict of str and bool, "" for what it has not."""
    configured = ((found.get("IPAM") or {}).get("Config") or [{}])[0]
    return {"name": found["Name"], "driver": found.get("Driver") or "", "internal": bool(found.get("Internal")), "ipv6": bool(found.get("EnableIPv6")),
            "subnet": configured.get("Subnet") or "", "bridge": bridge(found)}


def differing(definitions, found):
    """Names of definitions of which there is no network, or another one.

    :param definitions: networks of the inventory, dicts of ``name``, ``bridge``, ``subnet`` and ``internal``.
    :param found: name to what :func:`network` returns.
    """
    def wanted(definition):
        return {"name": definition["name"], "driver": "bridge", "internal": bool(definition.get("internal")), "ipv6": False,
                "subnet": definition["subnet"], "bridge": definition["bridge"]}
    return [definition["name"] for definition in definitions if found.get(definition["name"]) != wanted(definition)]


def in_the_way(definitions, networks):
    """Names of networks whose bridge or subnet a network of another name is to have: the engine makes no second one there.

    :param definitions: networks of the inventory, dicts of ``name``, ``bridge`` and ``subnet``.
    :param networks: of :func:`network`, those that may go.
    """
    def taken(found, wanted):
        return found["bridge"] == wanted["bridge"] or bool(found["subnet"]) and ipaddress.ip_network(found["subnet"], strict=False).overlaps(
            ipaddress.ip_network(wanted["subnet"], strict=False))

    # Networks of IPv6 do not overlap with any of IPv4, and ipaddress compares the two without an error.
    return [found["name"] for found in networks if any(found["name"] != wanted["name"] and taken(found, wanted) for wanted in definitions)]


def table(family, name, text):
    """What ``nft --stateless list table`` tells of one table, "" each where it does not.

    :param text: what nft printed, "" where there is no such table.
    :returns: dict of ``family``, ``name``, ``digest`` (the table's own comment), ``flags``, and ``program``, that of its owner's process.
    """
    def first(pattern):
        found = re.search(pattern, text, re.MULTILINE)
        return found.group(1) if found else ""

    return {"family": family, "name": name, "program": first(r"\Atable .*progname (\S+)"), "digest": first(r'^\tcomment "([0-9a-f]+)"'),
            "flags": first(r"^\tflags (.*)$")}
