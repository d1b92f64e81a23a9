# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel a boot loader was told to boot, whatever is newer. Pure functions: the texts of files in, a release out. No text makes an exception.

proxmox-boot-tool keeps a pin in a file. GRUB has a default (https://www.gnu.org/software/grub/manual/grub/html_node/Simple-configuration.html): an entry's
title, its id or its number from 0, those of a submenu behind a ">" (one of the title's own is ">>"), or "saved", which grubenv tells. systemd-boot has a
pattern for the ids of its entries (loader.conf(5)), which are the names of their files without the counter of tries
(https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/); what bootctl set, in EFI variables, counts before it (https://systemd.io/BOOT_LOADER_INTERFACE/).
"""
from __future__ import annotations

import fnmatch
import re

PINS = ("/etc/kernel/next-boot-pin", "/etc/kernel/proxmox-boot-pin")
GRUB_DEFAULTS, GRUB_MORE = "/etc/default/grub", "/etc/default/grub.d"
GRUB_FOLDERS = ("/boot/grub", "/boot/grub2")  # the second of Fedora and openSUSE
LOADERS = ("/boot/loader", "/efi/loader", "/boot/efi/loader")
IMAGES = "EFI/Linux"  # beside a loader's folder: unified kernel images
EFI_VARIABLE = "/sys/firmware/efi/efivars/LoaderEntry%s-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
NEWEST = ("", "0")  # GRUB's first entry, which is the newest kernel
RELEASE = r"[0-9][A-Za-z0-9.+_~:-]*"
# Words of GRUB's language and of a shell's assignments, in which quoted parts may touch: 'It'\''s'.
WORDS = re.compile(r"""(?P<end>[\n;])|(?P<comment>\#[^\n]*)|(?P<word>(?:'[^']*'|"(?:\\[\s\S]|[^"\\])*"|\\[\s\S]|[^\s;'"\\])+)|[\s\S]""")
PARTS = re.compile(r"""'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"|\\([\s\S])""")
VALUED = ("--class", "--users", "--hotkey", "--source", "--id", "$menuentry_id_option")  # GRUB's options of an entry that have a value
TRIES = re.compile(r"\+([0-9]+)(-[0-9]+)?(?=\.(conf|efi)\Z)")


def _bare(word):
    """A word without its quotes."""
    return PARTS.sub(lambda found: re.sub(r"\\([\"\\$`])", r"\1", found[2]) if found[2] is not None else found[1] if found[1] is not None else found[3], word)


def _assigned(text, name):
    """The last NAME=VALUE of a shell's text, as the shell reads it; "" where there is none."""
    found = re.findall(r"^[ \t]*(?:export[ \t]+)?%s=(.*)$" % re.escape(name), text, re.MULTILINE)
    first = WORDS.match(found[-1]) if found else None
    return _bare(first["word"]) if first and first["word"] else ""


def _kept(environment, name):
    """A value of grubenv, which has no quotes and no comments, but a backslash before each of its own; "" where there is none."""
    found = re.findall(r"^%s=([^\r\n]*)" % re.escape(name), environment, re.MULTILINE)
    return re.sub(r"\\(.)", r"\1", found[-1]) if found else ""


def grub_default(defaults, environment):
    """What GRUB boots by default, as it is written: "" and "0" for its first entry.

    :param defaults: /etc/default/grub and what lies in grub.d, one text.
    :param environment: grubenv; an entry for the next boot alone counts first.
    """
    default = _assigned(defaults, "GRUB_DEFAULT")
    once = _kept(environment, "next_entry")
    return once or (_kept(environment, "saved_entry") if default == "saved" else default)


def _entry(words):
    """An entry of a menu by the words of its head."""
    values, rest = {}, iter(words[1:])
    for word in rest:
        name, equals, value = word.partition("=")
        if name in VALUED:
            values[name] = _bare(value) if equals else _bare(next(rest, ""))
        elif not word.startswith("--"):
            values.setdefault("title", _bare(word))
    return {"title": values.get("title", ""), "id": values.get("--id") or values.get("$menuentry_id_option") or "", "release": "", "children": []}


def _loaded(words):
    """The release of the kernel that a command of GRUB loads, "" where it loads none."""
    paths = [_bare(word) for word in words[1:] if not word.startswith("--")]
    return _release(paths[0]) if paths and re.fullmatch(r"linux(16|efi)?|module2?", words[0]) else ""


class _Menu:
    """The tree of grub.cfg: dicts of title, id, release ("" where no Linux is loaded) and children."""

    def __init__(self):
        self.root = {"children": []}
        self._open, self._words = [self.root], []

    def read(self, text):
        """Reads it, and returns the entries."""
        for found in WORDS.finditer(text):
            word = found["word"]
            if word == "{":
                self._begin()
            elif word == "}":
                self._command()
                self._open = self._open[:-1] if len(self._open) > 1 else self._open
            elif word and not (word in ("then", "else", "do") and not self._words):
                self._words.append(word)
            elif found["end"]:
                self._command()
        return self.root["children"]

    def _begin(self):
        entry = None  # a function, a group
        if self._words[:1] in (["menuentry"], ["submenu"]):
            entry = _entry(self._words)
            next(block for block in reversed(self._open) if block)["children"].append(entry)
        self._open.append(entry)
        self._words = []

    def _command(self):
        if self._words[:1] in (["menuentry"], ["submenu"]):
            return  # its brace is on another line
        release = _loaded(self._words) if self._words else ""
        if self._open[-1] and self._open[-1] is not self.root and release:
            self._open[-1]["release"] = release
        self._words = []


def _release(path):
    """The release in the name of a kernel's file, or of its folder; "" where there is none."""
    found = re.search(r"(?:^|[/)])(?:vmlinu[xz]|kernel)-(%s)\Z" % RELEASE, path) or re.search(r"/(%s)/(?:linux|vmlinuz)\Z" % RELEASE, path)
    return re.sub(r"(\.efi|\.signed|\.old)+\Z", "", found[1]) if found else ""


def _named(title):
    """The release that a title or an id names."""
    found = re.search(r"with Linux (%s)|gnulinux-([0-9][A-Za-z0-9.+_~:-]*?)-(?:advanced|recovery)" % RELEASE, title)
    return next(filter(None, found.groups())) if found else ""


def grub_release(default, menu):
    """The release of the kernel that GRUB's default is, "" where it is the first entry or not to be told.

    :param default: of :func:`grub_default`.
    :param menu: grub.cfg, "" where it was not read.
    """
    if default in NEWEST:
        return ""
    entries, entry = _Menu().read(menu), None
    for part in re.split(r"(?<!>)>(?!>)", default):
        part = part.replace(">>", ">")
        entry = next((one for number, one in enumerate(entries) if part in (one["title"], one["id"], str(number))), None)
        if entry is None:
            return _named(default)
        entries = entry["children"]
    while entry["children"] and not entry["release"]:
        entry = entry["children"][0]  # of a submenu its first
    return entry["release"] or _named(default)


def _field(text, name):
    found = re.findall(r"^%s[ \t]+(\S+)" % name, text, re.MULTILINE)
    return found[-1] if found else ""


def _identity(name):
    """An entry's id: the name of its file without the counter of tries. systemd-boot does not tell large letters from small ones."""
    return TRIES.sub("", name).lower()


def _of_image(name):
    """The release in the name of a unified kernel image, as kernel-install gives it: TOKEN-RELEASE.efi."""
    found = re.search(r"(?:\A|[-_/])([0-9]+\.[0-9][A-Za-z0-9.+_~:-]*)\.efi\Z", TRIES.sub("", name))
    return found[1] if found else ""


def _of_entry(name, text):
    """The release of an entry of systemd-boot."""
    version = _field(text, "version")
    if re.fullmatch(RELEASE, version):
        return version
    return _release(_field(text, "linux")) or _of_image(_field(text, "efi") or _field(text, "uki") or name)


def _ordered(entries):
    """Names of entries as systemd-boot has them: the newest first, and last those that have used up their tries."""
    def key(name):
        tries = TRIES.search(name)
        parts = re.findall(r"[0-9]+|[^0-9]+", "%s %s" % (_of_entry(name, entries[name]), _identity(name)))
        digits = [(len(part.lstrip("0")), part.lstrip("0")) if part[0] in "0123456789" else (0, part) for part in parts]
        return not (tries and tries[1].strip("0") == ""), digits
    return sorted(entries, key=key, reverse=True)


def loader_release(default, entries):
    """The release of the kernel that systemd-boot's default is, "" where none is named or it is not to be told.

    :param default: the pattern, of :func:`loader_default`.
    :param entries: dict of the name of an entry's file, or of an image, to its text.
    """
    pattern = default.lower()
    for name in _ordered(entries) if default else ():
        identity = _identity(name)
        if any(fnmatch.fnmatchcase(one, pattern) for one in (identity, identity.rpartition(".")[0])):
            return _of_entry(name, entries[name])
    return ""


def loader_default(configuration, variable):
    """The pattern of systemd-boot's default, "" where there is none.

    :param configuration: loader.conf.
    :param variable: tells what an EFI variable LoaderEntry... holds, by the rest of its name; "" where there is none.
    """
    found = re.findall(r"^default[ \t]+(.*?)\s*$", configuration, re.MULTILINE)
    default = variable("OneShot") or variable("Default") or (found[-1] if found else "")
    default = variable("LastBooted") if default == "@saved" else default
    return "" if default.startswith("@") else default


def _loaders(text, names):
    """Of each folder of a loader its configuration and its entries."""
    for folder in LOADERS:
        images = "%s/%s" % (folder.rpartition("/")[0], IMAGES)
        entries = {name: text("%s/entries/%s" % (folder, name)) for name in names(folder + "/entries") if name.endswith(".conf")}
        entries.update((name, "") for name in names(images) if name.lower().endswith(".efi"))
        yield text(folder + "/loader.conf"), entries


def pinned(text, names):
    """The release of the kernel that boots next, whatever is newer; "" where the newest does.

    :param text: tells the content of a path, "" where it is not to be read.
    :param names: tells the names in a folder, sorted; none where it is not there.
    """
    for path in PINS:
        pin = text(path).split()
        if pin and re.fullmatch(RELEASE, pin[0]):
            return pin[0]
    defaults = "\n".join(text(path) for path in [GRUB_DEFAULTS] + ["%s/%s" % (GRUB_MORE, name) for name in names(GRUB_MORE) if name.endswith(".cfg")])
    menu, environment = (next(filter(None, (text("%s/%s" % (folder, name)) for folder in GRUB_FOLDERS)), "") for name in ("grub.cfg", "grubenv"))
    default = grub_default(defaults, environment)
    release = _release(_assigned(defaults, "GRUB_TOP_LEVEL")) if default in NEWEST else grub_release(default, menu)
    loaders = list(_loaders(text, names)) if not release else []
    for _configuration, entries in loaders:  # GRUB's own reading of them, blscfg: by the whole name
        release = release or next((_of_entry(name, entries[name]) for name in entries if default and default in (name, name.rpartition(".")[0])), "")
    for configuration, entries in loaders:
        release = release or loader_release(loader_default(configuration, lambda name: re.sub(r"[\0-\x1f]", "", text(EFI_VARIABLE % name))), entries)
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
