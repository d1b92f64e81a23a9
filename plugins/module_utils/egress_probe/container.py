# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes a container by its name: what the engine tells of it, as the probe wants it, and what the attempts come to."""
from __future__ import annotations

import contextlib
import ipaddress

from .. import network_survey
from ..cuda_readiness.docker_engine import DEFAULT_HOST, Engine, EngineError
from .namespaces import NamespaceError
from .probe import probe

OUTSIDE = "198.51.100.0/24"  # a documentation subnet (RFC 5737)


class NotProbed(Exception):
    """The attempts were not made; the message says why."""


def networks_of(engine, inspected):
    """The bridge networks of a container, as the probe wants them; besides the engine's default one where they are all internal."""
    networks = [engine.network(place["NetworkID"] or name) for name, place in inspected["NetworkSettings"]["Networks"].items()]
    if all(network["Internal"] for network in networks):
        with contextlib.suppress(EngineError):
            networks.append(engine.network("bridge"))
    for network in networks:
        name = network["Name"]
        configured = (network["IPAM"]["Config"] or [{}])[0]
        if network["Driver"] != "bridge" or "Subnet" not in configured:
            raise NamespaceError("network %s is of driver %s; only bridge networks can be probed" % (name, network["Driver"]))
        subnet = configured["Subnet"]
        yield {"name": name, "bridge": network_survey.bridge(network), "subnet": subnet, "internal": network["Internal"],
               "gateway": configured.get("Gateway") or str(ipaddress.ip_network(subnet).network_address + 1)}


def probed(name, docker_host=DEFAULT_HOST, outside_subnet=OUTSIDE):
    """What a running container's attempts to get out come to.

    :param name: its name or ID.
    :param docker_host: the engine's Unix socket.
    :param outside_subnet: addresses of the outside world while the probe runs.
    :returns: dict of ``isolated``, ``attempts`` and ``failing``, as module egress_probe returns them.
    :raises NotProbed: they were not made.
    """
    try:
        engine = Engine(docker_host)
        inspected = engine.container(name)
        if not inspected["State"]["Running"]:
            raise NamespaceError("container %s does not run. Start it" % name)
        rows = probe(inspected["State"]["Pid"], inspected["Name"].lstrip("/"), list(networks_of(engine, inspected)),
                     inspected["HostConfig"].get("Dns") or [], outside_subnet)
    except (EngineError, NamespaceError, OSError, ValueError) as error:
        raise NotProbed("%s was not probed: %s." % (name, error)) from error
    failing = [row for row in rows if not row["does_not_apply"] and row["observed"] != row["expected"]]
    return {"isolated": not failing, "attempts": rows, "failing": failing}
