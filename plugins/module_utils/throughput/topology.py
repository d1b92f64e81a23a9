# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CPUs a host has and what they share: cores, NUMA nodes, CCDs. Pure functions: text in, facts out.

A CPU is a dict of ``cpu``, ``core``, ``socket``, ``node`` and ``l3`` (int). A CCD is what shares a last-level cache; on AMD's chiplets that is one die
with a link of its own to the memory. What a host does not tell (many virtual machines) is taken as one: each CPU its own core, one socket, node, CCD.
"""
from __future__ import annotations

import json

CACHE = "l1d:l1i:l2:l3"  # lscpu's column CACHE
FEW = 4  # slow cores that are worth more than one fast core: of a container's share that has more of them, all count
MOST_CPUS = 65536  # eight times what a kernel for x86 can have (CONFIG_NR_CPUS)


def _json(text, key):
    """The list of a key of what a tool printed; empty where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


def _rows(text):
    """Rows of ``lscpu --json --extended``, or of the table that it prints without ``--json``."""
    if text.lstrip().startswith("{"):
        return [row for row in _json(text, "cpus") if isinstance(row, dict)]
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return [dict(zip([name.lower() for name in lines[0]], line)) for line in lines[1:]] if lines else []


def _number(value):
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def parse(text, count=1):
    """The CPUs that are online, in order.

    :param text: of ``lscpu --json --extended=CPU,CORE,SOCKET,NODE,CACHE,ONLINE``, or without ``--json``; "" where there is no lscpu.
    :param count: CPUs where the text tells of none.
    """
    cpus = []
    for row in _rows(text):
        number = _number(row.get("cpu"))
        if number is None or str(row.get("online", "yes")).lower() not in ("yes", "true"):
            continue
        caches = next((value for key, value in row.items() if key.endswith("l3")), None)
        core, last = _number(row.get("core")), _number(str(caches).rsplit(":", maxsplit=1)[-1])
        cpus.append({"cpu": number, "core": number if core is None else core, "socket": _number(row.get("socket")) or 0,
                     "node": _number(row.get("node")) or 0, "l3": -1 if last is None else last})
    cpus.sort(key=lambda cpu: cpu["cpu"])
    return cpus or [{"cpu": number, "core": number, "socket": 0, "node": 0, "l3": -1} for number in range(count)]


def last_level_cache(text):
    """Bytes of all last-level caches together, from ``lscpu --bytes --caches --json``; None where it does not say."""
    levels = [(_number(cache.get("level")), _number(cache.get("all-size"))) for cache in _json(text, "caches") if isinstance(cache, dict)]
    return max((level for level in levels if None not in level), default=(None, None))[1]


def _grouped(cpus, key):
    found = {}
    for cpu in cpus:
        found.setdefault(key(cpu), []).append(cpu["cpu"])
    return [found[name] for name in sorted(found)]


def usable(cpus, allowed=None, quota=None, performance=None):
    """The CPUs that a service may use of those that are online.

    Of processors with cores of two kinds, those of the slower kind are marked ``efficient``: llama.cpp's threads wait for each other at every layer, so
    that one on a slow core makes all of them slow, and it counts the fast ones alone too (common/common.cpp, cpu_get_num_math).

    :param cpus: of :func:`parse`.
    :param allowed: numbers of the CPUs that processes of this host may run on (its affinity: a container's, isolcpus); None for all.
    :param quota: how many CPUs the host's control groups allow, a number; None for no limit. So many whole cores are left, one at least.
    :param performance: numbers of the CPUs of the faster kind; empty or None where there is one kind.
    """
    found = [cpu for cpu in cpus if allowed is None or cpu["cpu"] in allowed] or cpus
    slow = {cpu["cpu"] for cpu in found} - set(performance or ())
    fast = {(cpu["socket"], cpu["core"]) for cpu in found if cpu["cpu"] not in slow}
    if performance and slow and FEW * len(fast) >= len({(cpu["socket"], cpu["core"]) for cpu in found if cpu["cpu"] in slow}):
        found = [dict(cpu, efficient=cpu["cpu"] in slow) for cpu in found]
    cores = physical(found)
    if quota is not None and max(int(quota), 1) < len(cores):
        kept = {(cpu["socket"], cpu["core"]) for cpu in found if cpu["cpu"] in cores[:max(int(quota), 1)]}
        found = [cpu for cpu in found if (cpu["socket"], cpu["core"]) in kept or cpu.get("efficient")]
    return found


def physical(cpus):
    """Numbers of one CPU of each core, by node, then CCD, then number: neighbours in this list share most. Cores that are marked efficient are none of them."""
    first = {}
    for cpu in [cpu for cpu in cpus if not cpu.get("efficient")] or cpus:
        first.setdefault((cpu["socket"], cpu["core"]), cpu)
    return [cpu["cpu"] for cpu in sorted(first.values(), key=lambda cpu: (cpu["node"], cpu["socket"], cpu["l3"], cpu["cpu"]))]


def _only(groups, wanted):
    return [kept for kept in ([cpu for cpu in group if cpu in wanted] for group in groups) if kept]


def nodes(cpus):
    """Lists of physical cores, one a NUMA node."""
    return _only(_grouped(cpus, lambda cpu: cpu["node"]), set(physical(cpus)))


def ccds(cpus):
    """Lists of physical cores, one a CCD."""
    return _only(_grouped(cpus, lambda cpu: (cpu["node"], cpu["socket"], cpu["l3"])), set(physical(cpus)))


def nodes_of(cpus, numbers):
    """Numbers of the NUMA nodes that some CPUs belong to."""
    return sorted({cpu["node"] for cpu in cpus if cpu["cpu"] in set(numbers)})


def spread(cpus, count):
    """So many physical cores, as evenly over the CCDs as can be: each CCD's link to the memory is used."""
    groups, taken = ccds(cpus), []
    for turn in range(max(len(group) for group in groups)):
        taken += [group[turn] for group in groups if turn < len(group)]
    return sorted(taken[:count])


def packed(cpus, count):
    """So many physical cores on as few CCDs as can be."""
    return sorted(physical(cpus)[:count])


def shares(cpus, weights):
    """The physical cores, cut into disjoint parts: between CCDs where there is one a part at least, otherwise between cores.

    :param weights: how much each part gets of the whole, list of numbers.
    :returns: list of lists of CPUs, none empty; [] where there are fewer cores than parts.
    """
    units = ccds(cpus)
    if len(units) < len(weights):
        units = [[core] for core in physical(cpus)]
    if len(units) < len(weights):
        return []
    cuts, passed = [0], 0
    for position, weight in enumerate(weights):
        passed += weight
        cut = round(len(units) * passed / sum(weights))
        cuts.append(min(max(cut, cuts[-1] + 1), len(units) - (len(weights) - position - 1)))
    return [sorted(core for unit in units[begin:end] for core in unit) for begin, end in zip(cuts, cuts[1:])]


def listed(numbers):
    """"0-3,8" of [0, 1, 2, 3, 8]: the kernel's own way to write a set of CPUs, and docker's ``--cpuset-cpus``."""
    parts, ordered = [], sorted(set(numbers))
    while ordered:
        end = 1
        while end < len(ordered) and ordered[end] == ordered[0] + end:
            end += 1
        parts.append(str(ordered[0]) if end == 1 else "%d-%d" % (ordered[0], ordered[end - 1]))
        ordered = ordered[end:]
    return ",".join(parts)


def expanded(text):
    """[0, 1, 2, 3, 8] of "0-3,8".

    :raises ValueError: it is no such list, or one of more CPUs than a kernel can have.
    """
    found = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if _number(first) is None or (dash and _number(last) is None) or not int(first) <= int(last or first) < MOST_CPUS:
            raise ValueError("%r is no list of CPUs such as 0-3,8" % text)
        found += range(int(first), int(last or first) + 1)
    return sorted(set(found))


def mask(numbers):
    """"0x10f" of [0, 1, 2, 3, 8]: llama.cpp's ``--cpu-mask``."""
    return hex(sum(1 << number for number in set(numbers)))
