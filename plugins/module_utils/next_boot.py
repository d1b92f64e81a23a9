# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel a boot loader was told to boot, whatever is newer. Pure functions: the texts of files in, a release out.

proxmox-boot-tool keeps a pin in a file. GRUB has a default (https://www.gnu.org/software/grub/manual/grub/html_node/Simple-configuration.html): an entry's
title, its id or its number from 0, those of a submenu behind a ">", or "saved", which grubenv tells. systemd-boot has a pattern for the names of its entries
(loader.conf(5)).
"""
from __future__ import annotations

import fnmatch
import re

PINS = ("/etc/kernel/next-boot-pin", "/etc/kernel/proxmox-boot-pin")
GRUB_DEFAULTS, GRUB_MORE = "/etc/default/grub", "/etc/default/grub.d"
GRUB_ENVIRONMENT, GRUB_MENU = "/boot/grub/grubenv", "/boot/grub/grub.cfg"
LOADERS = ("/boot/loader", "/efi/loader", "/boot/efi/loader")
NEWEST = ("", "0")  # GRUB's first entry, which is the newest kernel


def _value(text, name):
    """The last NAME=VALUE of a text, without its quotes; "" where there is none."""
    found = re.findall(r"^\s*%s=(.*)$" % re.escape(name), text, re.MULTILINE)
    return found[-1].strip().strip("\"'") if found else ""


def grub_default(defaults, environment):
    """What GRUB boots by default, as it is written: "" and "0" for its first entry.

    :param defaults: /etc/default/grub and what lies in grub.d, one text.
    :param environment: grubenv; an entry for the next boot alone counts first.
    """
    default = _value(defaults, "GRUB_DEFAULT")
    once = _value(environment, "next_entry")
    return once or (_value(environment, "saved_entry") if default == "saved" else default)


def _entries(menu):
    """The tree of grub.cfg: dicts of title, id, release ("" where no Linux is loaded) and children."""
    root = {"children": []}
    open_blocks = [root]
    for line in menu.splitlines():
        words = line.strip()
        begun = re.match(r"""(menuentry|submenu)\s+(?:'([^']*)'|"([^"]*)"|(\S+))""", words)
        if begun:
            identity = re.search(r"""(?:\$menuentry_id_option|--id)[ =](?:'([^']*)'|"([^"]*)"|(\S+))""", words)
            entry = {"title": next(filter(None, begun.groups()[1:]), ""), "id": next(filter(None, identity.groups()), "") if identity else "",
                     "release": "", "children": []}
            next(block for block in reversed(open_blocks) if block)["children"].append(entry)
            open_blocks.append(entry)
        elif words.endswith("{"):
            open_blocks.append(None)  # a function, an if of the shell that GRUB has
        elif words == "}" and len(open_blocks) > 1:
            open_blocks.pop()
        elif open_blocks[-1] and re.match(r"linux(16|efi)?\s", words):
            open_blocks[-1]["release"] = _release(words.split()[1]) if len(words.split()) > 1 else ""
    return root["children"]


def _release(path):
    """The release in the name of a kernel's file."""
    found = re.search(r"/vmlinu[xz]-([^/]+)$", path)
    return found.group(1) if found else ""


def _named(title):
    """The release that a title or an id names."""
    found = re.search(r"with Linux ([^'\" ]+)|gnulinux-([0-9].*?)-(?:advanced|recovery)", title)
    return next(filter(None, found.groups())) if found else ""


def grub_release(default, menu):
    """The release of the kernel that GRUB's default is, "" where it is the first entry or not to be told.

    :param default: of :func:`grub_default`.
    :param menu: grub.cfg, "" where it was not read.
    """
    if default in NEWEST:
        return ""
    entries, entry = _entries(menu), None
    for part in default.split(">"):
        entry = next((one for number, one in enumerate(entries) if part in (one["title"], one["id"], str(number))), None)
        if entry is None:
            return _named(default)
        entries = entry["children"]
    while entry["children"] and not entry["release"]:
        entry = entry["children"][0]  # of a submenu its first
    return entry["release"] or _named(default)


def loader_release(configuration, entries):
    """The release of the kernel that systemd-boot's default is, "" where none is named or it is not to be told.

    :param configuration: loader.conf.
    :param entries: dict of an entry's file name to its text.
    """
    found = re.findall(r"^default\s+(\S+)", configuration, re.MULTILINE)
    if not found or found[-1].startswith("@"):
        return ""
    for name in sorted(entries, reverse=True):
        if fnmatch.fnmatchcase(name, found[-1]) or fnmatch.fnmatchcase(name, found[-1] + ".conf"):
            version = re.findall(r"^version\s+(\S+)", entries[name], re.MULTILINE)
            kernel = re.findall(r"^linux\s+(\S+)", entries[name], re.MULTILINE)
            return version[-1] if version else _release(kernel[-1]) if kernel else ""
    return ""


def pinned(text, names):
    """The release of the kernel that boots next, whatever is newer; "" where the newest does.

    :param text: tells the content of a path, "" where it is not to be read.
    :param names: tells the names in a folder, sorted; none where it is not there.
    """
    for path in PINS:
        pin = text(path).split()
        if pin:
            return pin[0]
    defaults = "\n".join(text(path) for path in [GRUB_DEFAULTS] + ["%s/%s" % (GRUB_MORE, name) for name in names(GRUB_MORE) if name.endswith(".cfg")])
    release = grub_release(grub_default(defaults, text(GRUB_ENVIRONMENT)), text(GRUB_MENU))
    for folder in LOADERS if not release else ():
        entries = {name: text("%s/entries/%s" % (folder, name)) for name in names(folder + "/entries") if name.endswith(".conf")}
        release = release or loader_release(text(folder + "/loader.conf"), entries)
    return release


def module_names(configuration):
    """Under which names modprobe may find NVIDIA's module. Debian's own packages have it load nvidia-current-open or nvidia-current for nvidia.

    :param configuration: what ``modprobe --showconfig`` prints.
    """
    found = re.findall(r"^install nvidia [^;&|\n]*modprobe (?:-i|--ignore-install) (nvidia[-_a-z0-9]*)", configuration, re.MULTILINE)
    return [found[-1]] if found else ["nvidia", "nvidia-current-open", "nvidia-current"]


def enrolled(said):
    """Whether a certificate is enrolled, by what ``mokutil --test-key`` prints; None where that is not to be told."""
    return True if "already" in said else False if "not enrolled" in said else None
