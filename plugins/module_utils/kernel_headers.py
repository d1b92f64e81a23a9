# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages hold the headers that the driver's module is compiled against: of the kernel that runs, of those that may boot next, and of those to come.

Pure functions: names of packages in, names of packages out. Where the names come from: Debian and Ubuntu call a kernel linux-image-RELEASE (Ubuntu's unsigned
one linux-image-unsigned-RELEASE, Debian's linux-image-RELEASE-unsigned) and its headers linux-headers-RELEASE, with meta packages linux-image-FLAVOUR and
linux-headers-FLAVOUR that follow the newest. Proxmox calls them proxmox-kernel-RELEASE[-signed] and proxmox-headers-RELEASE, before 2023 pve-kernel-RELEASE and
pve-headers-RELEASE, with meta packages proxmox-kernel-SERIES, proxmox-default-kernel and the like.
"""
from __future__ import annotations

import re


class Refused(Exception):
    """There is no such package; the message says what was found, what is needed, and what to do."""


_LINUX = re.compile(r"^linux-image-(?:unsigned-)?(\d+\.\d+\S*?)(?:-unsigned)?$")
_LINUX_META = re.compile(r"^linux-image-(?!unsigned-|uc-)([a-z]\S*)$")  # uc: Ubuntu Core's, which have a kernel of their own
_PROXMOX = re.compile(r"^(proxmox|pve)-kernel-(\d+\.\d+\.\d+\S*?-pve)(?:-signed)?$")
_PROXMOX_META = re.compile(r"^(proxmox|pve)-(?:(default)-kernel|kernel-(\d+\.\d+))$")
# Kernels for virtual machines have no headers of their own: they are the generic ones ("virtual-hwe-24.04", "extra-virtual").
_VIRTUAL = re.compile(r"^(?:extra-)?virtual(?=$|-)")
# Words in names of packages that hold no kernel.
_NO_KERNEL = ("-dbg", "-dbgsym", "-template", "-debug")


def _order(release):
    """What makes "6.8.0-50-generic" newer than "6.8.0-9-generic", and of one number "-lowlatency" newer than "-generic": as boot loaders have it, which
    compare as dpkg does (Debian Policy, 5.6.12): a tilde before the end, the end before letters, letters before all else."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", release)
    return [([-1 if one == "~" else ord(one) if one.isalpha() else 256 + ord(one) for one in text] + [0], number.lstrip("0").rjust(40, "0"))
            for text, number in parts]


def _flavour(release):
    """"generic" of "6.8.0-45-generic", "cloud-amd64" of "6.1.0-28-cloud-amd64", "amd64" of "6.12.57+deb13-amd64"."""
    found = re.search(r"-([a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*)$", release)
    return found.group(1) if found else ""


def _known(installed):
    """({release: its headers' package} of the kernels that are installed, the headers' meta packages)."""
    kernels, metas = {}, []
    for name in installed:
        if name.endswith(_NO_KERNEL):
            continue
        linux, meta = _LINUX.match(name), _LINUX_META.match(name)
        proxmox, proxmox_meta = _PROXMOX.match(name), _PROXMOX_META.match(name)
        if linux:
            kernels[linux.group(1)] = "linux-headers-" + linux.group(1)
        elif meta:
            metas.append("linux-headers-" + _VIRTUAL.sub("generic", meta.group(1)))
        elif proxmox:
            kernels[proxmox.group(2)] = "%s-headers-%s" % proxmox.groups()
        elif proxmox_meta:
            metas.append("%s-%s" % (proxmox_meta.group(1), "default-headers" if proxmox_meta.group(2) else "headers-" + proxmox_meta.group(3)))
    return kernels, sorted(set(metas))


def _newer(running, releases):
    """The newest release of the running kernel's flavour and the newest of the others, where they are newer than it."""
    # The boot loader takes the newest of what is there; older ones than the running kernel are for emergencies.
    newer = [release for release in sorted(releases, key=_order) if _order(release) > _order(running)]
    alike = [release for release in newer if _flavour(release) == _flavour(running)]
    return alike[-1:] + [release for release in newer if release not in alike][-1:]


def boots(running, installed, own_kernel=True):
    """Releases of the kernels that may boot next; none in a container. Arguments as of :func:`packages`."""
    releases = sorted(_known(installed)[0], key=_order)
    if running not in releases and not own_kernel:
        return releases[-1:]
    return _newer(running, releases) or [running]


def packages(running, installed, otherwise, own_kernel=True, has_headers=False):
    """Names of the packages with headers, the running kernel's first; they may be installed already.

    :param running: release of the kernel that runs (uname -r).
    :param installed: names of the packages that are installed.
    :param otherwise: the system's own headers, for a host without a kernel of its own (a container, whose kernel is another machine's).
    :param own_kernel: whether the modules of the running kernel are on this host (/lib/modules/RELEASE).
    :param has_headers: whether it has its headers without any package (/lib/modules/RELEASE/build).
    :raises Refused: the running kernel is of no package, and has no headers.
    """
    kernels, metas = _known(installed)
    if running not in kernels and not own_kernel:
        # A container, or a kernel that was removed while it runs: what boots next is the newest that is there.
        return [kernels[release] for release in boots(running, installed, own_kernel)] + metas or [otherwise]
    if running not in kernels and not has_headers:
        raise Refused(_why(running, sorted(kernels, key=_order), otherwise))
    own = [kernels[running]] if running in kernels else []
    return own + [kernels[release] for release in _newer(running, kernels)] + metas


def _why(running, there, otherwise):
    """The refusal of a kernel of no package."""
    if "microsoft" in running.lower():
        return ("the kernel is %s, of WSL; needed a kernel of the distribution: there the driver is Windows' own, and none is installed. Use a host that "
                "runs Linux itself." % running)
    known = "; installed are %s" % ", ".join(there) if there else ""
    image = otherwise.replace("headers", "image")
    return ("the kernel that runs is %s, of no package that is installed, and /lib/modules/%s/build is not there%s; needed its headers, for the driver's "
            "module to be compiled against. Reboot where it was replaced meanwhile; else boot a kernel of the distribution (apt-get install %s, then reboot), "
            "or put the headers of your own kernel there." % (running, running, known, image))
