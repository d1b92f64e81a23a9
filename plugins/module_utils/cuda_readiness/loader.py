# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file the glibc loader takes for a library, found without running anything.

Source: elf/dl-load.c, elf/dl-support.c and elf/rtld.c of glibc 2.31 to 2.41, ld.so(8). tests/unit compares it with the real loader's
LD_DEBUG=libs on constructed roots.
"""
from __future__ import annotations

import os
import re

from . import ld_cache
from .byte_source import FormatError
from .elf import EM_X86_64, ET_DYN, ET_EXEC, Elf

LEVELS = {  # /proc/cpuinfo flags that each level of the x86-64 psABI asks for
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "x86-64-v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
DEFAULT_SYSTEM = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"]
MOST_OBJECTS = 4096
LARGEST_CACHE = 4 << 20  # bytes of ld.so.cache; a usual one has 20 to 200 kB


def processor_levels(cpuinfo):
    """The glibc-hwcaps folders that a processor serves, the best first, from the text of /proc/cpuinfo."""
    match = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    flags = set(match.group(1).split()) if match else set()
    levels = []
    for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        if not LEVELS[level] <= flags:
            break
        levels.insert(0, level)
    return levels


class LoaderError(Exception):
    """The loader would stop here: the message is the reason."""


class LoadedObject:
    """A program or library in a process.

    :ivar path: str, as it was opened: folders that are links stand in it as links. :ivar real: str, with links followed.
    :ivar by: LoadedObject or None, what asked for it. :ivar why: str, which rule found it.
    """

    def __init__(self, path, real, dynamic, by, why):
        self.path, self.real, self.dynamic, self.by, self.why = path, real, dynamic, by, why
        self.names = set()

    def origin(self):
        """What $ORIGIN means in this object."""
        return os.path.dirname(self.real if self.by is None else self.path) or "/"


class Process:
    """The loader's view of one process that is about to start.

    :param tree: file_trees.Tree, its root.
    :param program: str, path of the program in the tree, or None: then only what one library asks for can be said.
    :param environment: dict of str, of which LD_LIBRARY_PATH and LD_PRELOAD matter.
    :param cwd: str, its working directory.
    :param hwcaps: list of str, as of :func:`processor_levels`.
    """

    def __init__(self, tree, program, environment, cwd="/", hwcaps=()):
        self.tree = tree
        self.environment = environment
        self.cwd = cwd or "/"
        self.objects = []
        self.missing = []
        self.hwcaps = list(hwcaps)
        self.system, self.lib = DEFAULT_SYSTEM, "lib/x86_64-linux-gnu"
        self.secure = False
        self.program = None
        self._cache = None
        self._conf = None
        if program:
            self._start(program)

    def _start(self, path):
        real, node = self.tree.resolve(self._absolute(path))
        if node is None or node.kind != "file":
            raise LoaderError("the program %s does not exist" % path)
        self.secure = bool(node.mode & 0o6000)
        try:
            with self.tree.open(real) as source:
                elf = Elf(source)
                interpreter, dynamic = elf.interpreter(), elf.dynamic()
        except (FormatError, OSError) as error:
            raise LoaderError("%s is no program that the loader starts: %s" % (path, error))
        if interpreter is None or dynamic is None:
            raise LoaderError("%s is a static program: no loader runs for it" % path)
        self._read_interpreter(interpreter)
        self.program = LoadedObject(path, real, dynamic, None, "the program")
        self.objects.append(self.program)
        preload = [] if self.secure else re.split(r"[ :]+", self.environment.get("LD_PRELOAD", ""))
        for name in filter(None, preload):
            self._try(name, self.program, "LD_PRELOAD=%s" % self.environment["LD_PRELOAD"])
        for name in (self.tree.read_text("/etc/ld.so.preload") or "").split():
            self._try(name, self.program, "/etc/ld.so.preload")
        self._load_needed(self.program)

    def _read_interpreter(self, path):
        """The system folders stand as one string table in the loader itself."""
        real, node = self.tree.resolve(path)
        if node is None or node.kind != "file" or node.size > 1 << 24:
            return
        with self.tree.open(real) as source:
            data = source.read(0, source.size)
            try:
                dynamic = Elf(source).dynamic()
            except FormatError:
                dynamic = None
        if dynamic is not None:  # it is in the process before anything else, and libc needs it
            itself = LoadedObject(path, real, dynamic, None, "the program's interpreter")
            itself.names.add(os.path.basename(path))
            self.objects.append(itself)
        match = re.search(rb"\0((?:/[\w./+-]+/\0){2,8})", data)
        if match:
            self.system = [text.decode().rstrip("/") for text in match.group(1).split(b"\0") if text]
            self.lib = self.system[0].lstrip("/")
        if b"glibc-hwcaps" not in data:
            self.hwcaps = []  # glibc before 2.33

    def _absolute(self, path):
        return path if path.startswith("/") else os.path.join(self.cwd, path)

    def open(self, path, by=None):
        """Loads a library by its path with all it needs, as dlopen does.

        :raises LoaderError: it cannot be loaded.
        """
        loaded = self._object_at(path, by or self.program, "its path")
        self._load_needed(loaded)
        return loaded

    def _try(self, name, by, why):
        try:
            return self.find(name, by, why)
        except LoaderError as error:
            self.missing.append(str(error))
            return None

    def _load_needed(self, first):
        """Breadth first, as glibc does: who asks first decides what the others get."""
        queue = [loaded for loaded in self.objects if loaded is first or loaded.by is self.program and first is self.program]
        seen = set()
        while queue:
            current = queue.pop(0)
            if id(current) in seen or len(self.objects) > MOST_OBJECTS:
                continue
            seen.add(id(current))
            for name in current.dynamic.needed:
                loaded = self._try(name, current, None)
                if loaded is not None:
                    queue.append(loaded)

    def loaded(self, name):
        """The object that already answers to a library's name, or None."""
        for loaded in self.objects:
            if name in loaded.names or name == loaded.dynamic.soname:
                return loaded
        return None

    def find(self, name, by, why=None):
        """Loads one library by the name that an object asks for.

        :param by: LoadedObject, the requester.
        :returns: LoadedObject
        :raises LoaderError: not found, or a file that stops the loader stands in the way.
        """
        present = self.loaded(name)
        if present is not None:
            return present
        if "/" in name:
            return self._object_at(self._expand(name, by) or name, by, why or "its path", name)
        for path, rule in self.places(name, by):
            loaded = self._accept(path, by, why or rule, name)
            if loaded is not None:
                return loaded
        raise LoaderError("%s, asked for by %s, is nowhere the loader looks" % (name, by.path))

    def _object_at(self, path, by, why, name=None):
        loaded = self._accept(self._absolute(path), by, why, name)
        if loaded is None:
            raise LoaderError("%s cannot be loaded: it does not exist or is not for x86-64" % path)
        return loaded

    def _accept(self, path, by, why, name):
        real, node = self.tree.resolve(path)
        if node is None or node.kind == "other":
            return None
        for loaded in self.objects:
            if loaded.real == real:
                loaded.names.add(name or path)
                return loaded
        dynamic = self._verify(path, real, node)
        if dynamic is None:
            return None
        loaded = LoadedObject(path, real, dynamic, by, why)
        loaded.names.add(name or path)
        self.objects.append(loaded)
        return loaded

    def _verify(self, path, real, node):
        """The dynamic section of a library that fits; None for one that the loader passes over; LoaderError where it stops."""
        if node.kind == "folder":
            raise LoaderError("%s is a folder: cannot read file data" % path)
        try:
            with self.tree.open(real) as source:
                head = source.read(0, min(source.size, 64))
                if head[:4] != b"\x7fELF":
                    raise LoaderError("%s: %s" % (path, "file too short" if len(head) < 64 else "invalid ELF header"))
                if len(head) < 64 and not (len(head) >= 20 and head[4] != 2):
                    raise LoaderError("%s: file too short" % path)
                if head[4] != 2:
                    return None  # ELFCLASS32: the next folder may have a better one
                if head[5] != 1:
                    raise LoaderError("%s: ELF file data encoding not little-endian" % path)
                if int.from_bytes(head[18:20], "little") != EM_X86_64:
                    return None
                elf = Elf(source)
                if elf.type not in (ET_DYN, ET_EXEC):
                    raise LoaderError("%s: only ET_DYN and ET_EXEC can be loaded" % path)
                dynamic = elf.dynamic()
                if dynamic is None:
                    raise LoaderError("%s: object file has no dynamic section" % path)
                return dynamic
        except FormatError as error:
            raise LoaderError("%s: %s" % (path, error))
        except OSError:
            return None

    def places(self, name, by):
        """Where the loader looks for a library, in its order: pairs of path and the rule that leads there."""
        dynamic = by.dynamic
        if dynamic.runpath is None:
            chain, current = [], by
            while current is not None:
                chain.append(current)
                current = current.by
            if self.program is not None and self.program not in chain:
                chain.append(self.program)
            for holder in chain:
                if holder.dynamic.rpath is not None and holder.dynamic.runpath is None:
                    for place in self._in_folders(self._elements(holder.dynamic.rpath, ":", holder), name):
                        yield place, "RPATH of %s (%s)" % (holder.path, holder.dynamic.rpath)
        variable = "" if self.secure else self.environment.get("LD_LIBRARY_PATH", "")
        if variable:
            for place in self._in_folders(self._elements(variable, ":;", self.program or by), name):
                yield place, "LD_LIBRARY_PATH=%s" % variable
        if dynamic.runpath is not None:
            for place in self._in_folders(self._elements(dynamic.runpath, ":", by), name):
                yield place, "RUNPATH of %s (%s)" % (by.path, dynamic.runpath)
        cached = ld_cache.pick(self._cache_entries(), name, self.hwcaps)
        if cached and not (dynamic.no_default_libraries and any(cached.startswith(folder + "/") for folder in self.system)):
            yield cached, "/etc/ld.so.cache (%s)" % self._cache_source(cached)
        if not dynamic.no_default_libraries:
            for place in self._in_folders(self.system, name):
                yield place, "system directory %s" % os.path.dirname(place)

    def candidates(self, name, by):
        """All files that the loader could take for a library, its choice first.

        :returns: list of (path, real path, rule); a file that would stop the loader ends the list.
        """
        result = []
        for path, rule in self.places(name, by):
            real, node = self.tree.resolve(path)
            if node is None or node.kind == "other" or real in [present[1] for present in result]:
                continue
            try:
                if self._verify(path, real, node) is not None:
                    result.append((path, real, rule))
            except LoaderError:
                break
        return result

    def _in_folders(self, folders, name):
        for folder in folders:
            for level in self.hwcaps:
                yield "%s/glibc-hwcaps/%s/%s" % (folder, level, name)
            yield "%s/%s" % (folder, name)

    def _elements(self, text, separators, holder):
        result = []
        for element in re.split("[%s]" % separators, text):
            expanded = self._expand(element, holder)
            if expanded is None:
                continue
            folder = self._absolute(expanded).rstrip("/") if expanded else self.cwd.rstrip("/")
            if folder not in result:
                result.append(folder)
        return result

    def _expand(self, text, holder):
        """With $ORIGIN, $LIB and $PLATFORM replaced; None where a privileged program must not follow $ORIGIN."""
        if self.secure and re.search(r"\$(ORIGIN\b|\{ORIGIN\})", text):
            return None
        values = {"ORIGIN": holder.origin(), "LIB": self.lib, "PLATFORM": "x86_64"}
        return re.sub(r"\$(?:(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_])|\{(ORIGIN|LIB|PLATFORM)\})", lambda match: values[match.group(1) or match.group(2)], text)

    def _cache_entries(self):
        if self._cache is None:
            self._cache = []
            real, node = self.tree.resolve("/etc/ld.so.cache")
            if node is not None and node.kind == "file" and node.size <= LARGEST_CACHE:
                try:
                    with self.tree.open(real) as source:
                        self._cache = ld_cache.read_cache(source.read(0, source.size))
                except OSError:
                    pass
        return self._cache

    def _cache_source(self, path):
        """The line of ld.so.conf that brought a folder into the cache."""
        if self._conf is None:
            self._conf = {}
            self._read_conf("/etc/ld.so.conf", 0)
        folder = re.sub(r"/glibc-hwcaps/[^/]+$", "", os.path.dirname(path))
        return self._conf.get(folder, "%s, a default of ldconfig" % folder if folder in self.system else folder)

    def _read_conf(self, path, depth):
        text = self.tree.read_text(path)
        for number, line in enumerate((text or "").splitlines(), 1):
            line = line.split("#")[0].strip()
            if line.startswith("include") and depth < 8:
                for included in self._glob(os.path.join(os.path.dirname(path), line[7:].strip())):
                    self._read_conf(included, depth + 1)
            elif line:
                self._conf.setdefault(line.rstrip("/"), "%s, line %d of %s" % (line, number, path))

    def _glob(self, pattern):
        folder, name = os.path.split(pattern)
        real, node = self.tree.resolve(folder)
        if node is None or node.kind != "folder":
            return []
        form = re.compile("".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", name)) + r"\Z")
        return sorted(path for path, _node in self.tree.walk(real) if os.path.dirname(path) == real.rstrip("/") and form.match(os.path.basename(path)))
