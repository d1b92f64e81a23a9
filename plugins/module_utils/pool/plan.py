# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does in a pool: from the inventory's variables to what the templates of the role write. Pure functions. Standard library only.

A pool has doors, which clients know, and members, which answer. The words are HAProxy's where it has them (backend, server, weight, maxconn).
"""
from __future__ import annotations

import re

# What HAProxy takes in a name (Configuration Manual, "Proxies": letters, digits, and - _ . :).
NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_.:-]")
ANY = "any"  # the backend of requests that name no model of the pool: a member's gateway says what is wrong with them
LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # by which address what listens on all of them is asked
MASTER, STEP = 150, 50  # VRRP's priorities: the first door is preferred


def endpoint(address, port):
    """An address with its port as HAProxy and URLs write it: str.

    :param address: str, IPv4 or IPv6.
    """
    return "%s:%d" % ("[%s]" % address if ":" in address else address, port)


def backend_names(models):
    """HAProxy's name of each model's backend: dict of str to str, no two alike.

    :param models: list of str, each once.
    """
    names = {}
    for number, model in enumerate(models, 1):
        name = "model_" + NOT_OF_A_NAME.sub("_", model)
        names[model] = name if name not in names.values() else "%s_%d" % (name, number)
    return names


def _server(pool, member, model):
    """A server line's data: where a member answers for a model ("" for any), and what its agent is asked."""
    return {"name": member["name"], "endpoint": endpoint(member["address"], pool["member_port"]), "weight": member["weight"], "maxconn": member["streams"],
            "agent_address": member["address"], "agent_port": pool["agent_port"], "agent_question": model or ANY}


def _backends(pool):
    models = sorted({model for member in pool["members"] for model in member["models"]})
    names = backend_names(models)
    found = [{"name": names[model], "model": model, "servers": [_server(pool, member, model) for member in pool["members"] if model in member["models"]]}
             for model in models]
    return found + [{"name": ANY, "model": "", "servers": [_server(pool, member, "") for member in pool["members"]]}]


def door(pool, host):
    """What a host does as a door, or None where it is none: dict.

    ``own`` (its address), ``source`` (the same as HAProxy writes it, from which it asks members), ``listen`` (where clients ask: list of str, the pool's
    address and its own), ``floats`` (bool, whether the pool's may be at another door), ``backends`` (list of dict: ``name``, ``model``, ``servers``), and
    ``vrrp``: None for a single door, else ``priority`` and ``peers``.

    :param pool: dict of the role's variables without their prefix, complete.
    :param host: str, the host's name in the inventory.
    """
    doors = {entry["name"]: position for position, entry in enumerate(pool["doors"])}
    if host not in doors:
        return None
    position = doors[host]
    peers = [entry["address"] for entry in pool["doors"] if entry["name"] != host]
    vrrp = {"priority": MASTER - STEP * position, "peers": peers} if peers else None
    own = pool["doors"][position]["address"]
    listen = [endpoint(address, pool["port"]) for address in dict.fromkeys([pool["address"], own])]
    return {"own": own, "source": "[%s]" % own if ":" in own else own, "listen": listen, "floats": bool(peers), "backends": _backends(pool), "vrrp": vrrp}


def member(pool, host, gateway):
    """What a host does as a member, or None where it is none: dict.

    ``listen`` (where doors ask), ``gateway`` (where its own gateway listens), ``gateway_tls`` (bool), ``agent`` (arguments of the agent: ``address``,
    ``port``, ``doors``).

    :param pool: as of :func:`door`.
    :param gateway: dict of ``address``, ``port`` and ``tls`` (none, files or self_signed) of the gateway of this host.
    """
    for entry in pool["members"]:
        if entry["name"] == host:
            return {"listen": endpoint(entry["address"], pool["member_port"]),
                    "gateway": endpoint(LOCAL.get(gateway["address"], gateway["address"]), gateway["port"]), "gateway_tls": gateway["tls"] != "none",
                    "agent": {"address": entry["address"], "port": pool["agent_port"], "doors": [one["address"] for one in pool["doors"]]}}
    return None


def certificate_names(pool, host):
    """By which names a host's certificate is valid: list of str as openssl writes them, ``DNS:`` and ``IP:``, each once.

    Its own name, its address as a member, and for a door its own address and the pool's.
    """
    names = ["DNS:" + host]
    names += ["IP:" + entry["address"] for entry in pool["members"] + pool["doors"] if entry["name"] == host]
    if any(entry["name"] == host for entry in pool["doors"]):
        names.append("IP:" + pool["address"])
    return list(dict.fromkeys(names))


def certificate_uses(pool, host):
    """What a host's certificate may be used for: list of str, extended key usages (RFC 5280, 4.2.1.12).

    A member answers and never asks, so that a stolen certificate of a member opens no other member.
    """
    return ["serverAuth", "clientAuth"] if any(entry["name"] == host for entry in pool["doors"]) else ["serverAuth"]


def plan(pool, host, gateway):
    """All of it: dict of ``door``, ``member``, ``names``, ``uses``, ``servers`` (list of str, "BACKEND/NAME" of those that it asks as a door) and ``authority``
    (str, the host that signs: the first door)."""
    as_door = door(pool, host)
    servers = ["%s/%s" % (backend["name"], server["name"]) for backend in (as_door or {"backends": []})["backends"] for server in backend["servers"]]
    return {"door": as_door, "servers": servers, "member": member(pool, host, gateway), "names": certificate_names(pool, host),
            "uses": certificate_uses(pool, host), "authority": pool["doors"][0]["name"]}
