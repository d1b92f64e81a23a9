# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services of ours a host has, by their units, their files and their containers. Pure functions.

What the inventory names no more is known by these alone: its definition is gone.
"""
from __future__ import annotations

import re

UNIT_NAME = re.compile(r"protocol-omni-(.+)\.service")
# What the role inference_service writes as long as a service is deployed, under a name that a service can have: oracle.bak.json is somebody's copy. A placement
# (oracle.placement.json) is only measured, and is no sign of a service either.
FILE_NAME = re.compile(r"([a-z][a-z0-9-]{0,30})\.(json|proven)")


def own_name(found):
    """A container's own name: one that links to it calls it "THERE/ALIAS" besides; and one that is being removed has none, but for its ID."""
    own = [name.lstrip("/") for name in found.get("Names") or [] if "/" not in name.lstrip("/")]
    return own[0] if own else (found.get("Id") or "")[:12]


def containers(listed, label):
    """What counts of all containers.

    :param listed: the engine's ``/containers/json?all=1``.
    :param label: under which a container of ours carries what it was made by.
    :returns: list of dict with ``name``, ``ours`` (bool), ``running`` (bool) and ``networks`` (name to address, "" for none).
    """
    return [{"name": own_name(found), "ours": label in (found.get("Labels") or {}), "running": found.get("State") == "running",
             "networks": {name: (place or {}).get("IPAddress") or "" for name, place in ((found.get("NetworkSettings") or {}).get("Networks") or {}).items()}}
            for found in listed]


def services(units, files, found, label):
    """The services of ours that are on a host, by their names.

    :param units: name to text of units. One that does not run a container of ours is none of a service.
    :param files: names of the files in the folder of the resolved services.
    :param found: as :func:`containers` returns them.
    :param label: as there.
    :returns: list of dict with ``name``, ``unit`` (its name, "" for none), ``files`` (list), ``container`` and ``running`` (bool).
    """
    there = {}

    def of(name):
        return there.setdefault(name, {"name": name, "unit": "", "files": [], "container": False, "running": False})

    for unit, text in units.items():
        match = UNIT_NAME.fullmatch(unit)
        if match and "--label %s=" % label in text:
            of(match.group(1))["unit"] = unit
    for file in sorted(files):
        match = FILE_NAME.fullmatch(file)
        if match:
            of(match.group(1))["files"].append(file)
    for container in found:
        if container["ours"]:
            of(container["name"]).update(container=True, running=container["running"])
    return [there[name] for name in sorted(there)]


def unnamed(there, names):
    """Those that the inventory does not name, in their order."""
    return [service for service in there if service["name"] not in names]


def taken(there, found, names):
    """Names of the inventory's services that containers of others have: such a service is not there yet, and its first start would remove that container.

    :param there: as :func:`services` returns them. Where a service is there, a container under its name is its own, also one of before the label.
    :param found: as :func:`containers` returns them.
    """
    known = {service["name"] for service in there}
    return sorted(container["name"] for container in found if container["name"] in names and not container["ours"] and container["name"] not in known)


def words(service):
    """A service and by what it is known to be there, for people."""
    container = ["its container runs" if service["running"] else "its container, which does not run"] if service["container"] else []
    return "%s (%s)" % (service["name"], ", ".join(([service["unit"]] if service["unit"] else []) + container + service["files"]))
