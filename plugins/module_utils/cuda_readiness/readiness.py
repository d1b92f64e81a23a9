# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole question: will this run on that GPU, and with whose libcuda?

Two steps. ``examine`` reads a target once, whatever GPU is meant; what it finds is plain data and is remembered for images. ``judge`` turns
that data into verdicts for some GPUs.
"""
from __future__ import annotations

import fnmatch
import json
import os
import tempfile

from . import capability as rules
from . import foreign, libcuda
from .byte_source import FormatError
from .device_code import DeviceCode, Found, read_device_code
from .docker_engine import Engine, container_tree, processes_of
from .fatbin import Entry, Module, architecture
from .file_trees import FolderTree, pseudo_devices
from .host import read
from .loader import processor_levels
from .verdict import judge_file, judge_target

FORMAT = 3  # of remembered facts; raise it when what examine returns changes
MOST_FOLLOWED = 64  # files whose loading is followed: each takes some milliseconds, and more for what it needs
DEFAULT_CACHE = "/var/cache/protocol_omni/cuda_readiness"


class Target:
    """What is looked at.

    :ivar tree: file_trees.Tree. :ivar start: str, file or folder in it. :ivar program: str or None. :ivar environment: dict. :ivar cwd: str.
    :ivar process: int or None, the first process of a running container.
    """

    def __init__(self, tree, start="/", program=None, environment=None, cwd="/", process=None):
        self.tree, self.start, self.program = tree, start, program
        self.environment, self.cwd, self.process = environment or {}, cwd, process


class TargetError(Exception):
    """There is no such target; the message says what to do."""


def target_of_path(path, root="/", program=None, environment=None, cwd="/"):
    """A file or folder of this host.

    :param root: str, folder that is / to the loader; path lies in it and is given as the host sees it.
    """
    if not os.path.lexists(path):
        raise TargetError("path '%s' does not exist. Give a file or folder of this host" % path)
    root, path = os.path.abspath(root), os.path.abspath(path)
    if root != "/" and path != root and not path.startswith(root + "/"):
        raise TargetError("path '%s' does not lie in root '%s'. Give a path within it, as the host sees it" % (path, root))
    try:
        tree = FolderTree([root], pseudo_devices(read("/proc/self/mountinfo")))
    except OSError as error:
        raise TargetError("root '%s' is no folder that can be entered: %s" % (root, error))
    return Target(tree, path[len(root.rstrip("/")):] or "/", program, environment, cwd)


def target_of_image(engine, inspected, start, program, environment, scratch):
    """A Docker image, not started. Its own environment and entry point are the defaults."""
    config = inspected.get("Config") or {}
    own = _as_dict(config.get("Env"))
    own.update(environment or {})
    tree = engine.image_tree(inspected, scratch)
    cwd = config.get("WorkingDir") or "/"
    return Target(tree, start, program or _entry_point(tree, config, own, cwd), own, cwd)


def target_of_container(inspected, start, environment):
    """A running container, as its first process sees it."""
    name = (inspected.get("Name") or "").lstrip("/")
    pid = (inspected.get("State") or {}).get("Pid") or 0
    if pid <= 0:
        raise TargetError("container '%s' does not run. Start it, or look at its image instead" % name)
    try:
        tree = container_tree(pid)
        program = os.readlink("/proc/%d/exe" % pid)
        cwd = os.readlink("/proc/%d/cwd" % pid)
    except OSError as error:
        raise TargetError("container '%s': its process %d cannot be looked into (%s). Run this as root on the engine's own host" % (name, pid, error))
    own = _as_dict(read("/proc/%d/environ" % pid).split("\0"))
    own.update(environment or {})
    return Target(tree, start, program, own, cwd, pid)


def _as_dict(lines):
    return dict(line.split("=", 1) for line in lines or [] if "=" in line)


def _entry_point(tree, config, environment, cwd):
    """The program that a container of an image would run, or None."""
    words = (config.get("Entrypoint") or []) + (config.get("Cmd") or [])
    if not words:
        return None
    folders = [""] if "/" in words[0] else environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(":")
    for folder in folders:
        path = os.path.join(cwd, folder, words[0])
        node = tree.resolve(path)[1]
        if node is not None and node.kind == "file":
            return path
    return None


def examine(target, patterns=("*",), hwcaps=None):
    """Reads all device code of a target and finds the libcuda that each file would get.

    :param patterns: globs; only files whose name, or path from a slash on, matches one of them.
    :returns: dict of files (list), libcuda (list), mapped (list), problems (list of str) and unread (list of str, those of the problems behind which
        device code may lie that was not read): plain data.
    """
    hwcaps = processor_levels(read("/proc/cpuinfo")) if hwcaps is None else hwcaps
    facts = {"files": [], "libcuda": [], "mapped": [], "problems": [], "unread": []}
    followed = passed_over = 0  # files that are loaded themselves; those that ask for libcuda have an allowance of their own

    def unread(text):
        facts["problems"].append(text)
        facts["unread"].append(text)
    asked_for = target.tree.resolve(target.start)[0]
    names = set()
    for path, node in _files(target, unread):
        names.add(os.path.basename(path))
        if not any(fnmatch.fnmatch(path if "/" in pattern else os.path.basename(path), pattern) for pattern in patterns):
            continue
        try:
            with target.tree.open(path) as source:
                code = read_device_code(source, path)
                words = foreign.words(source, path, path == asked_for) if code is None else ""
        except (OSError, FormatError) as error:
            unread("%s: %s" % (path, error))
            continue
        if words:
            unread("%s: %s" % (path, words))
        if code is None:
            continue
        facts["problems"] += ["%s: %s" % (path, problem) for problem in code.problems]
        facts["unread"] += ["%s: %s" % (path, problem) for problem in code.unread]
        if code.found or code.rocm or code.libcuda == "needed":
            facts["files"].append(_plain(path, node.size, code))
        asks = code.libcuda and (code.found or code.libcuda == "needed")
        loads = target.program and code.kind == "elf" and (code.found or code.libcuda == "needed")
        look_for_missing, look_for_libcuda = loads and followed < MOST_FOLLOWED, asks and len(facts["libcuda"]) < MOST_FOLLOWED
        passed_over += bool(loads and not look_for_missing or asks and not look_for_libcuda)
        if look_for_missing or look_for_libcuda:
            process = libcuda.follow(target.tree, path, target.program, target.environment, target.cwd, hwcaps)
            if look_for_missing:
                followed += 1
                facts["files"][-1]["missing"] = libcuda.missing(process)
            if look_for_libcuda:
                facts["libcuda"].append(libcuda.find(process))
    for file in facts["files"]:
        # What lies elsewhere in there may be in the process already, by a file that was opened before.
        elsewhere = [text for text in file["missing"] if text.split(",", 1)[0] in names]
        facts["problems"] += ["%s: %s, but it lies in there" % (file["path"], text) for text in elsewhere]
        file["missing"] = [text for text in file["missing"] if text not in elsewhere]
    for text in target.tree.unread:
        unread(text)
    facts["problems"] += target.tree.left_out
    if passed_over:
        facts["problems"].append("what the loader finds was looked up for %d files; for %d more it was not" % (MOST_FOLLOWED, passed_over))
    if target.process:
        facts["mapped"] = [dict(path=path, **libcuda.describe(target.tree, path))
                           for pid in processes_of(target.process) for path in libcuda.mapped(read("/proc/%d/maps" % pid))]
    return facts


def _files(target, unread):
    path, node = target.tree.resolve(target.start)
    if node is None:
        unread("%s: no such file or folder in there" % target.start)
    elif node.kind == "file":
        yield path, node
    elif node.kind == "folder":
        yield from target.tree.walk(path)
    else:
        unread("%s: neither a file nor a folder" % target.start)


def _plain(path, size, code):
    return {"path": path, "size": size, "kind": code.kind, "rocm": code.rocm, "libcuda": code.libcuda, "imports_vmm": code.imports_vmm,
            "problems": code.problems, "missing": [],
            "found": [[list(found.module._replace(entries=[list(entry) for entry in found.module.entries])), found.section, found.member, found.relocatable]
                      for found in code.found]}


def _restored(plain):
    code = DeviceCode(plain["kind"])
    code.rocm, code.libcuda, code.imports_vmm, code.problems = plain["rocm"], plain["libcuda"], plain["imports_vmm"], plain["problems"]
    for (form, offset, end, entries, problem), section, member, relocatable in plain["found"]:
        restored = [Entry(*entry)._replace(isa=tuple(entry[3]) if entry[3] else None) for entry in entries]
        code.found.append(Found(Module(form, offset, end, restored, problem), section, member, relocatable))
    return code


def remembered(cache_path, image_id, key, compute, writable=True):
    """Facts about an image, computed once. What is remembered under an image ID can never become wrong: the ID is a hash of its content.

    :param key: anything JSON that the facts depend on besides (start, patterns, environment).
    """
    path = os.path.join(cache_path, "%s.json" % image_id.replace(":", "-"))
    key = json.loads(json.dumps([FORMAT, key], sort_keys=True))
    try:
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        if known["key"] == key:
            return known["facts"], True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    facts = compute()
    if writable:
        os.makedirs(cache_path, mode=0o755, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=cache_path)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump({"key": key, "facts": facts}, stream)
        os.replace(part, path)
    return facts, False


def judge(facts, capabilities, driver_cuda=None, kernel_module=None, modules=False):
    """Verdicts for some GPUs from what was found.

    :param facts: result of :func:`examine`.
    :param capabilities: list of int, 120 for 12.0.
    :param driver_cuda: (major, minor) or None.
    :param kernel_module: str or None, version of the host's kernel module.
    :param modules: bool, list every module and entry too.
    :returns: dict of files, verdicts, libcuda, mapped, problems and unread, as the module cuda_readiness documents them.
    """
    files, by_path = [], {capability: {} for capability in capabilities}
    for plain in facts["files"]:
        code = _restored(plain)
        entry = dict({name: plain[name] for name in ("path", "size", "kind", "rocm", "libcuda", "imports_vmm", "problems", "missing")}, **_summary(code))
        entry["verdicts"] = {}
        for capability in capabilities:
            judged = judge_file(code, capability, driver_cuda, plain["missing"])
            judged["spoilers_total"] = len(judged["spoilers"])
            if not modules:
                judged["spoilers"] = judged["spoilers"][:5]
            entry["verdicts"][rules.name(capability)] = judged
            by_path[capability][plain["path"]] = judged
        if modules:
            entry["modules"] = [_module(found, capabilities, driver_cuda) for found in code.found]
        files.append(entry)
    return {
        "files": files,
        "verdicts": {rules.name(capability): judge_target(by_path[capability], capability) for capability in capabilities},
        "libcuda": [libcuda.judge(found, kernel_module) for found in facts["libcuda"]],
        "mapped": [dict(found, origin=libcuda.classify(found["version"], found["stub"], found["path"], kernel_module)) for found in facts["mapped"]],
        "problems": facts["problems"],
        "unread": facts["unread"],
    }


def _summary(code):
    """Architectures and counts of one file."""
    entries = [entry for found in code.found for entry in found.module.entries]
    kernels = [entry for entry in entries if entry.kernels is not False]
    return {
        "architectures": _sorted({architecture(entry) for entry in kernels if entry.kind == "cubin"}),
        "ptx": [{"target": target, "isa": "%d.%d" % isa}
                for target, isa in sorted({(architecture(entry), entry.isa) for entry in kernels if entry.kind == "ptx"})],
        "compression": sorted({entry.compression or "none" for entry in entries}),
        "counts": {
            "modules": len(code.found),
            "relocatable": sum(1 for found in code.found if found.relocatable),
            "cubin": sum(1 for entry in kernels if entry.kind == "cubin"),
            "ptx": sum(1 for entry in kernels if entry.kind == "ptx"),
            "lto": sum(1 for entry in kernels if entry.kind == "lto"),
            "other": sum(1 for entry in kernels if entry.kind.isdigit()),
            "stubs": sum(1 for entry in entries if entry.kind == "cubin" and entry.kernels is False),
            "empty_ptx": sum(1 for entry in entries if entry.kind == "ptx" and entry.kernels is False),
            "not_looked_into": sum(1 for entry in entries if entry.kind in ("cubin", "ptx") and entry.kernels is None),
        },
    }


def _sorted(names):
    return sorted(names, key=lambda name: (int("".join(filter(str.isdigit, name))), name))


def _module(found, capabilities, driver_cuda):
    return {
        "form": found.module.form, "offset": found.module.offset, "section": found.section, "member": found.member,
        "relocatable": found.relocatable,
        "verdicts": {rules.name(capability): rules.judge_entries(found.module.entries, capability, driver_cuda) for capability in capabilities},
        "entries": [{"kind": entry.kind, "target": architecture(entry), "isa": "%d.%d" % entry.isa if entry.isa else None,
                     "compression": entry.compression or "none", "offset": entry.offset, "size": entry.size, "kernels": entry.kernels}
                    for entry in found.module.entries],
    }


def unaccounted(result, allowed=()):
    """What was not read and is not allowed to be so: list of str.

    :param allowed: globs of file names, or of paths where they hold a slash.
    """
    def is_allowed(text):
        path = text.split(": ", 1)[0]
        return any(fnmatch.fnmatch(path if "/" in pattern else os.path.basename(path), pattern) for pattern in allowed)
    return [text for text in result["unread"] if not is_allowed(text)]


def report(path=None, root=None, image=None, container=None, patterns=("*",), program=None, environment=None, cwd="/", capabilities=(),
           driver_cuda=None, kernel_module=None, modules=False, docker_host="unix:///var/run/docker.sock", cache_path=DEFAULT_CACHE,
           scratch_path="/var/tmp", remember=True):
    """Examines one target and judges it. Exactly one of path (with or without root), root, image and container says what.

    With image or container, path is a path inside it.

    :returns: the result of :func:`judge`, with image_id (str or None) and from_memory (bool) added.
    :raises TargetError, docker_engine.EngineError: the message says what to do.
    """
    image_id, from_memory = None, False
    if image:
        engine = Engine(docker_host)
        inspected = engine.image(image)
        image_id = inspected["Id"]

        def compute():
            target = target_of_image(engine, inspected, path or "/", program, environment, scratch_path)
            try:
                return examine(target, patterns)
            finally:
                target.tree.close()
        facts, from_memory = remembered(cache_path, image_id, [path or "/", list(patterns), program, environment or {}], compute, remember)
    else:
        if container:
            inspected = Engine(docker_host).container(container)
            image_id = inspected.get("Image")
            target = target_of_container(inspected, path or "/", environment)
        else:
            target = target_of_path(path or root, root or "/", program, environment, cwd)
        try:
            facts = examine(target, patterns)
        finally:
            target.tree.close()
    return dict(judge(facts, list(capabilities), driver_cuda, kernel_module, modules), image_id=image_id, from_memory=from_memory)
