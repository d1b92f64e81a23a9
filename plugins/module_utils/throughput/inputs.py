# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host decides how fast a process is, beside the process's own command line. Standard library only."""
from __future__ import annotations

import os
import re

from .. import small_file


def _whole(text):
    """A whole number that the kernel wrote; 0 for anything else, as "max" and -1 are."""
    text = text.strip()
    return int(text) if re.match(r"^[0-9]{1,15}$", text) else 0


def _limits(folder, mount, version):
    """CPUs that each group from a folder up to its mount allows."""
    found = []
    while folder.startswith(mount):
        if version == 2:
            quota, _space, period = small_file.seen(os.path.join(folder, "cpu.max")).partition(" ")
        else:
            quota, period = (small_file.seen(os.path.join(folder, name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        if _whole(quota) and _whole(period):
            found.append(_whole(quota) / _whole(period))
        if folder in (mount, os.path.dirname(folder)):
            break
        folder = os.path.dirname(folder)
    return found


def cpu_quota(pid, proc="/proc"):
    """CPUs that the control groups of a process allow it, by its own group and all above it that can be seen; None for no limit.

    Rules: cgroups(7), the kernel's cgroup-v2.rst (cpu.max) and sched-bwc.rst (cpu.cfs_quota_us).
    """
    groups = [line.split(":", 2) for line in small_file.seen("%s/%s/cgroup" % (proc, pid)).splitlines() if line.count(":") >= 2]
    found = []
    for line in small_file.seen("%s/self/mountinfo" % proc).splitlines():
        left, _dash, right = (part.split() for part in line.partition(" - "))
        if len(left) < 5 or not right or not os.path.isdir(left[4]):
            continue
        root, mount = left[3:5]
        kind, options = right[0], right[-1].split(",")
        for _number, controllers, path in groups:
            if (kind == "cgroup2" and not controllers) or (kind == "cgroup" and "cpu" in options and "cpu" in controllers.split(",")):
                # The mount shows its root and what is below it.
                inside = path[len(root):] if root != "/" and path.startswith(root) else path
                mount = os.path.normpath(mount)
                folder = os.path.normpath(mount + "/" + inside.lstrip("/"))
                found += _limits(folder if os.path.isdir(folder) else mount, mount, 2 if kind == "cgroup2" else 1)
    return min(found) if found else None


def of_host(pid=None, root=""):
    """Name to text of what the kernel, the driver, the firmware and the control groups have to do with it.

    :param pid: of the process; None leaves its limits out.
    :param root: a folder that stands for /, for tests.
    """
    def first(path, pattern=r"(\S.*)"):
        match = re.search(pattern, small_file.text(root + path), re.MULTILINE)
        return match.group(1).strip() if match else ""

    quota = cpu_quota(pid, root + "/proc") if pid else None
    found = {
        "kernel": first("/proc/sys/kernel/osrelease"),
        "NVIDIA driver": first("/sys/module/nvidia/version"),
        "CPU governor": first("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "CPU boost": first("/sys/devices/system/cpu/cpufreq/boost"),
        "SMT": first("/sys/devices/system/cpu/smt/control"),
        "CPUs online": first("/sys/devices/system/cpu/online"),
        "microcode": first("/proc/cpuinfo", r"^microcode\s*:\s*(\S+)"),
        "transparent huge pages": first("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "CPU quota": "%.2f CPUs" % quota if quota else "",
    }
    return {name: value for name, value in found.items() if value}
