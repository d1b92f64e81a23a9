# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host's processor, caches and memory: what the pure functions of this package are given. Standard library only."""
from __future__ import annotations

import os
import re
import subprocess

from . import fingerprint, inputs, topology
from .. import small_file


def _output(*command):
    """What a command prints; "" where it is missing or fails."""
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            command, capture_output=True, text=True, errors="replace", env=dict(os.environ, LC_ALL="C"), timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def memory_speed(text):
    """"6400 MT/s" of ``dmidecode --type memory``, the slowest module's; None where it does not say."""
    found = [int(number) for number in re.findall(r"^\s*Configured (?:Memory|Clock) Speed: ([0-9]{1,9}) (?:MT/s|MHz)$", text, re.MULTILINE)]
    return "%d MT/s" % min(found) if found else None


def node_memory():
    """{"0": bytes} of each NUMA node, by sysfs."""
    found = {}
    folder = "/sys/devices/system/node"
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        match = re.search(r"MemTotal:\s+(\d+) kB", small_file.text("%s/%s/meminfo" % (folder, name))) if re.match(r"^node\d+$", name) else None
        if match:
            found[name[len("node"):]] = int(match.group(1)) * 1024
    return found


def affinity():
    """Numbers of the CPUs that the first process may run on, which services inherit; None where nobody says."""
    for pid in (1, 0):
        try:
            return os.sched_getaffinity(pid)
        except (OSError, AttributeError):
            pass
    return None


def performance_cores(root=""):
    """Numbers of the CPUs of the faster kind, where the kernel tells two kinds apart (Intel's hybrid processors); empty elsewhere."""
    try:
        return topology.expanded(small_file.seen(root + "/sys/devices/cpu_core/cpus").strip())
    except ValueError:
        return []


def host():
    """The host: ``cpus`` (topology.usable()), ``cache`` (bytes of all last-level caches), ``node_memory`` and its ``fingerprint``."""
    online = topology.parse(_output("lscpu", "--json", "--extended=CPU,CORE,SOCKET,NODE,CACHE,ONLINE"), os.cpu_count() or 1)
    cpus = topology.usable(online, affinity(), inputs.cpu_quota(1), performance_cores())
    name = re.search(r"^model name\s*:\s*(.+)$", small_file.text("/proc/cpuinfo"), re.MULTILINE)
    return {"cpus": cpus, "cache": topology.last_level_cache(_output("lscpu", "--bytes", "--caches", "--json")), "node_memory": node_memory(),
            "fingerprint": fingerprint.host(name.group(1).strip() if name else None, cpus, memory_speed(_output("dmidecode", "--type", "memory")))}
