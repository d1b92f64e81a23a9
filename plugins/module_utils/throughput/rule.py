# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service gets before anything was measured: a rule that is sane on every host and best on few. Pure functions."""
from __future__ import annotations

from . import topology

# Fewer cores than this for each service, and cutting them up costs the one that works more than it spares both: they share all of them.
LEAST_SHARE = 4
BATCH = 2048  # llama.cpp's own


def settings(cpus, names, name):
    """Threads and CPUs of a service: one thread a physical core, because generation is bound by memory bandwidth, which SMT siblings share; and several
    services on disjoint cores, cut between CCDs, because two sets of threads on one core wait for each other at every layer.

    :param cpus: of topology.parse().
    :param names: all services of the host, in their order.
    :param name: one of them.
    :returns: dict of ``threads``, ``cpuset`` ("" for all CPUs) and ``sentence``.
    """
    cores = topology.physical(cpus)
    parts = topology.shares(cpus, [1] * len(names)) if len(names) > 1 else []
    if parts and min(len(part) for part in parts) >= LEAST_SHARE:
        part = parts[names.index(name)]
        return {"threads": len(part), "cpuset": topology.listed(part),
                "sentence": "one thread a physical core, %d services on disjoint cores: %d of %d" % (len(names), len(part), len(cores))}
    slow = len({(cpu["socket"], cpu["core"]) for cpu in cpus if cpu.get("efficient")})
    if slow:
        return {"threads": len(cores), "cpuset": topology.listed(cores),
                "sentence": "one thread a performance core: %d, and none on the %d efficiency cores" % (len(cores), slow)}
    return {"threads": len(cores), "cpuset": "", "sentence": "one thread a physical core: %d" % len(cores)}
