# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has installed of NVIDIA's driver, from the texts that its tools print. Pure functions. Standard library only."""
from __future__ import annotations

import re

LIBRARY = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"  # where it is where the loader does not say
PACKAGES = ("dpkg-query", "--show", "--showformat", r"${db:Status-Want}\t${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n")
FOREIGN = ("i386", "armhf")  # architectures whose packages stand beside those of the host's own
# Of the driver, of kernels and their headers, and the one that modules of Ansible need.
_NAMES = r".*nvidia.*|libcuda.*|linux-(?:image|headers)-.*|(?:proxmox|pve)-(?:kernel|headers|default)-.*|python3-debian"
_WHOLE = ("installed", "config-files", "not-installed")
# What apt has to finish, or cannot, before it installs anything: dkms, a compiler, whatever was cut off beside the driver.
_BROKEN = ("half-installed", "unpacked", "half-configured")
NOTES = "dpkg has unfinished notes (/var/lib/dpkg/updates)"


def library_path(text):
    """The path of the driver's own library, by which it is told which version there is.

    :param text: what ``ldconfig -p`` prints.
    """
    found = re.search(r"^\s*libnvidia-ml[.]so[.]1 \(libc6,x86-64.* => (\S+)$", text, re.MULTILINE)
    return found.group(1) if found else LIBRARY


def library_version(path):
    """"580.95.05" of the file behind the library, "" where its name has none."""
    found = re.search(r"[.]so[.]([0-9]+[.][0-9.]+)$", path)
    return found.group(1) if found else ""


def packages(text, names=()):
    """The packages that count here, in the order of the text: list of dict of str, ``want``, ``status``, ``name`` and ``version``. The name of one of 32 bits
    is with its architecture, as dpkg takes it ("libcuda1:i386"). One that an installation left half done counts whatever it is called.

    :param text: what PACKAGES prints.
    :param names: of packages that count besides.
    """
    counting = re.compile("|".join([_NAMES, *map(re.escape, names)]))
    found = []
    for line in text.splitlines():
        want, status, name, version, architecture = (line.split("\t") + [""] * 5)[:5]
        if version and (counting.fullmatch(name) or status in _BROKEN):
            found.append({"want": want, "status": status, "name": "%s:%s" % (name, architecture) if architecture in FOREIGN else name, "version": version})
    return found


def own(known, library):
    """Names of the installed packages that carry the driver's version; whatever else is called nvidia-* does not.

    :param known: of :func:`packages`.
    :param library: of :func:`library_version`.
    :returns: those that are held, and those that are not.
    """
    carrying = [package for package in known if library and package["status"] == "installed" and library in package["version"]]
    return ([package["name"] for package in carrying if package["want"] == "hold"], [package["name"] for package in carrying if package["want"] != "hold"])


def interrupted(known, updates):
    """What an installation that was killed, or that lost its power, leaves, in words: packages between two states, and dpkg's own notes, with which apt does
    nothing at all.

    :param known: of :func:`packages`.
    :param updates: names in dpkg's folder of updates.
    """
    halves = ["%(name)s is %(status)s" % package for package in known if package["status"] not in _WHOLE]
    return halves + ([NOTES] if any(name[:1].isdigit() for name in updates) else [])
