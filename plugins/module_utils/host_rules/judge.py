# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges an inventory against the host that it is for. Pure functions over two documents.

The inventory is what validate_inventory returns, the host what host_info returns. Each rule is a function of these two that yields
findings; its name is the one by which preflight_lowered lowers it. A new rule is a function in the file of its topic and a place in RULES.
"""
from __future__ import annotations

import collections

from . import gpu, machine, memory, room
from .finding import ERROR, WARNING

# Worst first: what no setting can mend, then what the inventory can, then what only costs speed.
RULES = collections.OrderedDict((rule.__name__, rule) for rule in (
    gpu.gpu_exists, gpu.gpu_readable, gpu.gpu_family, gpu.driver_branch, gpu.driver_open, gpu.fabric, gpu.secure_boot, machine.engine, machine.overlap,
    room.room, memory.model_fits, memory.model_context, memory.model_kind, machine.threads, gpu.toolkit, gpu.cdi, gpu.nouveau, machine.numa))


def judge(inventory, host, lowered=()):
    """All findings, errors first, in the order of the rules.

    :param inventory: the validated inventory, with golden_image_cuda_major (int, the CUDA version of the image) added.
    :param host: what host_info returns.
    :param lowered: names of rules whose errors the inventory makes warnings.
    :returns: list of Finding.
    """
    findings = []
    for name, rule in RULES.items():
        for finding in rule(inventory, host):
            lower = finding.severity == ERROR and name in lowered
            findings.append(finding._replace(severity=WARNING, lowered=True) if lower else finding)
    return sorted(findings, key=lambda finding: finding.severity != ERROR)
