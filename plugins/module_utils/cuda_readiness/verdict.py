# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the modules of a file, and the files of a target, to one verdict with its reason."""
from __future__ import annotations

from . import capability as rules
from .fatbin import architecture

MOST_NAMED = 5


def judge_file(code, capability, driver_cuda, missing=()):
    """The verdict of one file for one GPU: that of its worst module, because any of them may be needed.

    In a linked file the relocatable modules are what the device linker started from. They matter where no linked module fits, for the
    driver links relocatable PTX at load (CUDA Compiler Driver NVCC, "JIT Linking"), and only there.

    :param code: device_code.DeviceCode
    :param capability: int, 120 for 12.0.
    :param driver_cuda: (major, minor), or None where it is not known.
    :param missing: what the loader does not find of what the file needs, list of str: then no kernel of it matters.
    :returns: dict of verdict (one of capability.VERDICTS, or None: no kernel for this GPU), reason (one sentence) and spoilers
        (list of dict: the modules that are as bad as the verdict, when it is not native).
    """
    if missing:
        return {"verdict": "does_not_load", "spoilers": [],
                "reason": "It does not load, so none of its kernels is ever called: %s%s." % (
                    "; ".join(missing[:MOST_NAMED]), " and %d more" % (len(missing) - MOST_NAMED) if len(missing) > MOST_NAMED else "")}
    judged = [(found, rules.judge_entries(found.module.entries, capability, driver_cuda)) for found in code.found]
    loaded = [(found, verdict) for found, verdict in judged if not found.relocatable]
    relocatable = [(found, verdict) for found, verdict in judged if found.relocatable]
    linked_at_load = rules.worst(verdict for _found, verdict in relocatable)
    if code.kind == "elf" and relocatable:
        if all(verdict is None for _found, verdict in loaded):
            judged = relocatable
        elif linked_at_load in ("native", "jit") and any(verdict not in (None, "native", "jit") for _found, verdict in loaded):
            judged = [(found, verdict) for found, verdict in loaded if verdict in (None, "native", "jit")] + relocatable
        else:
            judged = loaded
    verdict = rules.worst(verdict for _found, verdict in judged)
    bad = [found for found, each in judged if each == verdict]
    counted = sum(1 for _found, each in judged if each is not None)
    return {"verdict": verdict, "reason": _reason(verdict, bad, counted, capability, driver_cuda, code),
            "spoilers": [] if verdict in (None, "native") else [_name(found) for found in bad]}


def _name(found):
    return {"offset": found.module.offset, "section": found.section, "member": found.member,
            "holds": sorted({architecture(entry) for entry in found.module.entries if entry.kernels is not False})}


def _reason(verdict, bad, counted, capability, driver_cuda, code):
    """One sentence."""
    gpu = "compute capability " + rules.name(capability)
    if verdict is None:
        if not code.found:
            return "It holds no CUDA device code%s." % (", but some for AMD GPUs (ROCm), which CUDA does not load" if code.rocm else "")
        return "It holds no kernel for %s: only stubs, empty PTX, or modules that were compiled for it and came out empty." % gpu
    share = "The only module" if counted == 1 else "All %d modules" % counted if len(bad) == counted else "%d of %d modules" % (len(bad), counted)
    plural = counted > 1 and len(bad) != 1
    have, need = ("have", "need") if plural else ("has", "needs")
    held = sorted({architecture(entry) for found in bad for entry in found.module.entries
                   if entry.kernels is not False and (entry.kind == "ptx" or verdict != "jit")})
    held = ", ".join(held[:8]) + (" and %d more" % (len(held) - 8) if len(held) > 8 else "")
    if verdict == "native":
        return "%s %s machine code for %s." % (share, have, gpu)
    if verdict == "jit":
        return "%s %s no machine code for %s, only PTX (%s): compiled when it is loaded, which makes the first start slow." % (share, have, gpu, held)
    if verdict == "ptx_too_new":
        newest = max((entry.isa for found in bad for entry in found.module.entries if entry.isa), default=(0, 0))
        return ("%s %s only PTX for %s, of ISA %d.%d, which a driver knows from CUDA %d.%d on; this one knows CUDA %s: error 222, "
                "the provided PTX was compiled with an unsupported toolchain."
                % ((share, have, gpu) + newest + rules.cuda_for_isa(newest) + ("%d.%d" % driver_cuda,)))
    if verdict == "none":
        error = "error 209, no kernel image is available for execution on the device"
        if all(found.module.form == "ptx" for found in bad):
            error = "error 218, a PTX JIT compilation failed"  # what the driver says of PTX that it is given by itself
        return "%s %s neither machine code nor PTX for %s (only %s): %s." % (share, have, gpu, held or "nothing that loads", error)
    return ("%s %s what nobody can judge from here for %s (%s): the driver's CUDA version, a board of the Tegra line or a target that is in no "
            "table decides." % (share, need, gpu, held))


def judge_target(verdicts, capability):
    """The verdict of all files together: that of the worst.

    :param verdicts: dict of path to the result of :func:`judge_file`.
    :returns: dict of verdict, reason, files (paths as bad as the verdict).
    """
    verdict = rules.worst(entry["verdict"] for entry in verdicts.values())
    gpu = "compute capability " + rules.name(capability)
    if verdict is None:
        return {"verdict": None, "reason": "No file holds a kernel for %s." % gpu, "files": []}
    bad = sorted(path for path, entry in verdicts.items() if entry["verdict"] == verdict)
    counted = sum(1 for entry in verdicts.values() if entry["verdict"] is not None)
    named = ", ".join(bad[:MOST_NAMED]) + (" and %d more" % (len(bad) - MOST_NAMED) if len(bad) > MOST_NAMED else "")
    if counted == 1:
        reason = "%s: %s" % (bad[0], verdicts[bad[0]]["reason"])
    else:
        reason = "%s for %s: %d of %d files, %s. The first: %s" % (verdict, gpu, len(bad), counted, named, verdicts[bad[0]]["reason"])
    return {"verdict": verdict, "reason": reason, "files": bad}
