# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which libcuda.so.1 a program or library would get, and whose it is."""
from __future__ import annotations

import os
import re
from collections import namedtuple

from .byte_source import FormatError
from .elf import EM_X86_64, SHF_EXECINSTR, Elf
from .loader import LoadedObject, LoaderError, Process

NAME = "libcuda.so.1"
VERSION_IN_NAME = re.compile(r"libcuda\.so\.(\d{3,}\.\d+(?:\.\d+)?)$")
# The driver's library holds some 15 MB of instructions, the toolkit's stub some 20 kB, an empty shared object none.
STUB_BELOW = 1 << 20


#: A process as far as the loader takes it, and who asks in it.
#: tree: file_trees.Tree · requester: str, path · process: loader.Process or None · asking: loader.LoadedObject or None
#: error: str, why there is no process, else ""
Followed = namedtuple("Followed", "tree requester process asking error")


def follow(tree, requester, program, environment, cwd, hwcaps):
    """Loads a file as the loader would, once for all that is asked about it.

    :param requester: str, path of the file that is loaded.
    :param program: str or None, the program that loads it.
    :param hwcaps: list of str, the folders of glibc-hwcaps that this processor takes.
    :returns: Followed
    """
    try:
        return Followed(tree, requester, *_process(tree, requester, program, environment, cwd, hwcaps), error="")
    except LoaderError as error:
        return Followed(tree, requester, None, None, str(error))


def find(followed):
    """What the loader takes when a file asks for libcuda.so.1.

    :param followed: Followed, of the file that needs or opens it.
    :returns: dict of requester, program (None where it could not be followed), path, real_path, found_by, version, stub, error, others (files that would come
        next). Values are None where nothing is found.
    """
    tree, requester, process, asking, error = followed
    result = {"requester": requester, "program": None, "path": None, "real_path": None, "found_by": None, "version": None, "stub": None,
              "error": error or None, "others": []}
    if error:
        return result
    result["program"] = process.program.path if process.program else None
    try:
        found = process.loaded(NAME) or process.find(NAME, asking)
        if found.why is None:
            raise LoaderError("%s names itself %s" % (found.path, NAME))
        asking = found.by or asking
    except LoaderError as why:
        result["error"] = str(why)
        return result
    result.update(path=found.path, real_path=found.real, found_by=found.why, **describe(tree, found.real))
    result["others"] = [dict(path=path, real_path=real, found_by=rule, **describe(tree, real))
                        for path, real, rule in process.candidates(NAME, asking) if real != found.real]
    return result


# Come into a container with the host's driver (CDI), so an image has none of them.
DRIVERS = re.compile(r"^(libcuda|libnvidia-[a-z0-9-]+|libcudadebugger|libnvcuvid)\.so\b")


def missing(followed):
    """What a file needs, itself or by what it needs, and the loader does not find in this root.

    :param followed: Followed, with the program that opens it; what a library by itself would find beside a program that nobody knows, nobody can say.
    :returns: list of str, each a sentence without its full stop; empty where the program cannot be followed.
    """
    if followed.error:
        return [followed.error]
    process = followed.process
    if process.program is None or not _is_x86_64(followed.tree, process.program.real):
        return []
    return [text for text in dict.fromkeys(process.missing) if not DRIVERS.match(text)]


def _is_x86_64(tree, path):
    with tree.open(path) as source:
        return Elf(source).machine == EM_X86_64


def _process(tree, requester, program, environment, cwd, hwcaps):
    """The process as far as it matters, and the object in it that asks."""
    try:
        process = Process(tree, program, environment, cwd, hwcaps)
    except LoaderError:  # a script or a static program: what it starts in turn is not known, so the file is looked at by itself
        process = Process(tree, None, environment, cwd, hwcaps)
    if process.program is not None:
        real = tree.resolve(requester)[0]
        if real == process.program.real:
            return process, process.program
        return process, process.open(requester)
    real, node = tree.resolve(requester)
    if node is None or node.kind != "file":
        raise LoaderError("%s does not exist" % requester)
    with tree.open(real) as source:
        try:
            elf = Elf(source)
            interpreter, dynamic = elf.interpreter(), elf.dynamic()
        except FormatError as error:
            raise LoaderError("%s: %s" % (requester, error))
    if interpreter:
        process = Process(tree, requester, environment, cwd, hwcaps)
        return process, process.program
    if dynamic is None:
        raise LoaderError("%s is static: no loader runs for it" % requester)
    return process, LoadedObject(requester, real, dynamic, None, "given")


def describe(tree, real):
    """Version (str or None) and stub (bool or None) of a file that serves as libcuda.so.1."""
    match = VERSION_IN_NAME.search(real)
    stub = None
    try:
        with tree.open(real) as source:
            stub = sum(section.size for section in Elf(source).raw_sections() if section.flags & SHF_EXECINSTR) < STUB_BELOW
    except (OSError, FormatError):
        pass
    return {"version": match.group(1) if match else None, "stub": stub}


def mapped(maps):
    """The libcuda files that a process has mapped, from the text of /proc/PID/maps.

    :returns: list of str, paths as the process sees them, each once.
    """
    paths = []
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6:
            path = re.sub(r" \(deleted\)$", "", fields[5])
            if re.match(r"libcuda\.so(\.|$)", os.path.basename(path)) and path not in paths:
                paths.append(path)
    return paths


def classify(version, stub, path, kernel_module):
    """Whose a libcuda is.

    :param kernel_module: str or None, version of the host's loaded kernel module; the driver's library has the same, always.
    :returns: host_driver, compat, stub or unknown.
    """
    if stub:
        return "stub"
    if version and version == kernel_module:
        return "host_driver"
    if "/compat/" in path or (version and kernel_module):
        return "compat"
    return "unknown"


def judge(facts, kernel_module):
    """Adds to the result of :func:`find` whose library it is, and what it shadows.

    :returns: dict with origin (host_driver, compat, stub, unknown or missing), shadows (bool) and reason (one sentence) added.
    """
    result = dict(facts, others=[dict(other, origin=classify(other["version"], other["stub"], other["real_path"], kernel_module))
                                 for other in facts["others"]])
    host = "the host driver's %s" % kernel_module if kernel_module else "the host driver's (no kernel module is loaded here to compare with)"
    if facts["path"] is None:
        return dict(result, origin="missing", shadows=False, reason="No libcuda.so.1 for %s: %s." % (facts["requester"], facts["error"]))
    origin = classify(facts["version"], facts["stub"], facts["real_path"], kernel_module)
    shadowed = [other for other in result["others"] if other["origin"] == "host_driver" or (kernel_module is None and other["origin"] == "unknown")]
    shadows = origin in ("compat", "stub") and bool(shadowed)
    version = facts["version"] or "unknown"
    what = {"host_driver": "is %s" % host, "compat": "is a compat library, version %s, and not %s" % (version, host),
            "stub": "is a stub that only serves to link against",
            "unknown": "has version %s; whether it is %s is not known" % (version, host)}[origin]
    reason = "%s gets %s, which %s; found by %s." % (facts["requester"], facts["real_path"], what, facts["found_by"])
    if shadows:
        reason += " It shadows %s, which %s would have found." % (shadowed[0]["real_path"], shadowed[0]["found_by"])
    return dict(result, origin=origin, shadows=shadows, reason=reason)
