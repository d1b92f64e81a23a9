# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's tools say of NVIDIA's module for the kernels that may boot next, for the modules next_boot_info and host_driver_info."""
from __future__ import annotations

import os

from . import commands, next_boot, small_file


def text(path):
    """The text of a file, "" where it is not there or not to be read."""
    return small_file.seen(path) or ""


def names(folder):
    """The names in a folder, sorted; none where it is not there or not to be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _built(module, releases):
    """Lines of each kernel, with what modinfo says of the module that modprobe would load."""
    modules = next_boot.module_names(commands.output(module, "modprobe", "--showconfig"))
    lines = []
    for release in releases:
        lines.append("kernel %s" % release)
        for name in modules:
            status, said, error = commands.answer(module, "modinfo", "-k", release, name)
            if status == 0:
                break
        lines += (said + error).splitlines()
    return lines


def seen(module, kernels, certificates):
    """(release of the kernel that the boot loader was told to boot, "" where it boots the newest; lines as kernel_modules.refusal takes them).

    :param module: the running module of Ansible.
    :param kernels: releases of the kernels that may boot next; one that the boot loader was told to boot is looked at besides.
    :param certificates: paths of those that modules of this host are signed by.
    """
    pinned = next_boot.pinned(text, names)
    lines = (["pin %s" % pinned] if pinned else []) + _built(module, kernels + [pinned] * (pinned not in ["", *kernels]))
    if commands.answer(module, "dkms", "--version")[0] == commands.ABSENT:
        lines.append("dkms absent")
    for path in certificates:
        known = next_boot.enrolled("".join(commands.answer(module, "mokutil", "--test-key", path)[1:]))
        if known is not None:
            lines.append("key %s %s" % (path, "enrolled" if known else "absent"))
    return pinned, lines
