# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the driver's module is there for the kernels that may boot next, before anybody is asked to reboot. Pure functions: text in, a sentence out.

dkms builds a module when its package is installed, and goes on where that fails for one of the kernels: the host then comes back without its cards.
"""
from __future__ import annotations

OPEN = "Dual MIT/GPL"  # the license that NVIDIA's open modules name (open-gpu-kernel-modules, kernel-open/nvidia/nv.c); the proprietary ones say NVIDIA
# Who signs what is compiled on the host: certificate to a part of the name that it has. Ubuntu's update-secureboot-policy, and DKMS by itself.
SIGNERS = {"/var/lib/shim-signed/mok/MOK.der": "Secure Boot Module Signature key", "/var/lib/dkms/mok.pub": "DKMS module signing key"}


def _read(lines):
    """({release: {field: value}}, {certificate: whether it is enrolled}) of lines "kernel RELEASE", modinfo's behind each, "key PATH enrolled|absent", and
    "pin RELEASE": of a pinned kernel that one alone."""
    kernels, keys, fields, pinned = {}, {}, {}, None
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0] == "kernel":
            fields = kernels.setdefault(words[1], {})
        elif len(words) == 2 and words[0] == "pin":
            pinned = words[1]
        elif len(words) == 3 and words[0] == "key":
            keys[words[1]] = words[2] == "enrolled"
        elif ":" in line and not line.startswith("modinfo:"):
            name, _colon, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    return {pinned: kernels[pinned]} if pinned in kernels else kernels, keys


def _headers(release):
    return "proxmox-headers-%s" % release if release.endswith("-pve") else "linux-headers-%s" % release


def _compiled(release, version):
    """What to do about a kernel's module where nothing compiles modules on the host."""
    return ("There is no dkms here. On Ubuntu: apt-get install linux-modules-nvidia-%s-open-%s, which has it compiled; a driver of NVIDIA's installer (.run) "
            "is installed again for that kernel (-k %s)" % (version.split(".")[0], release, release))


def _signature(fields, keys):
    """(what is wrong with a signature, its remedy) under Secure Boot; None where nothing is."""
    signer = fields.get("signer", "")
    if not signer:
        return ("is not signed; needed a signature by an enrolled key, since Secure Boot is on",
                "Let dkms sign it: mok_signing_key and mok_certificate in /etc/dkms/framework.conf; then build it again")
    for path, name in SIGNERS.items():
        if name in signer and keys.get(path) is False:
            return ("is signed by %s, whose certificate is not enrolled; needed one that the firmware or shim knows, since Secure Boot is on" % signer,
                    "mokutil --import %s, reboot and confirm at the console" % path)
    return None


def refusal(lines, version, needs_open, secure_boot):
    """Why the host must not reboot yet, "" where it may.

    :param lines: "kernel RELEASE" and what ``modinfo -k RELEASE`` prints of the module that modprobe loads for nvidia, for each kernel that may boot next;
        "dkms absent" where there is none; "key PATH enrolled" or "key PATH absent" for each certificate of SIGNERS that is there; "pin RELEASE" where the
        boot loader was told to boot that kernel.
    :param version: of the driver's libraries.
    :param needs_open: whether a card is driven by the open modules only.
    :param secure_boot: whether the kernel takes signed modules only.
    """
    kernels, keys = _read(lines)
    dkms = "dkms absent" not in lines
    for release, fields in kernels.items():
        where = "for the kernel %s, which may boot next, " % release
        again = "dkms autoinstall -k %s; dkms status" % release if dkms else _compiled(release, version)
        see = "See: dkms status" if dkms else again
        if not fields.get("version"):
            more = "apt-get install %s; %s. Why it failed: /var/lib/dkms/nvidia*/%s/build/make.log" % (_headers(release), again, version) if dkms else again
            return "%sno module nvidia is built; needed %s. %s" % (where, version, more)
        if fields["version"] != version:
            return "%sthe module nvidia is %s; needed %s, as the libraries are. %s" % (where, fields["version"], version, again)
        if needs_open and fields.get("license") != OPEN:
            return "%sthe module nvidia is the proprietary one (license %s); needed the open one (%s), which Blackwell needs. %s" % (
                where, fields.get("license") or "not told", OPEN, see)
        wrong = _signature(fields, keys) if secure_boot else None
        if wrong:
            return "%sthe module nvidia %s. %s%s" % (where, wrong[0], wrong[1], ": dkms status" if dkms else "")
    return ""
