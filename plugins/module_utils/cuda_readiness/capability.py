# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device code runs on which GPU. Pure rules, no files.

Source: CUDA C++ Programming Guide, "Compute Capabilities" and "Family-Specific Features"; the PTX ISA document's release history; confirmed
on real cards by tests/gpu.
"""
from __future__ import annotations

import re

from .targets import TARGETS

#: From best to worst.
VERDICTS = ("native", "jit", "unknown", "ptx_too_new", "none", "does_not_load")
PTX_8_FROM = {6: (12, 7), 7: (12, 8), 8: (12, 9)}


def parse_capability(text):
    """"12.0" as 120.

    :raises ValueError: not of the form MAJOR.MINOR.
    """
    match = re.match(r"^(\d{1,2})\.(\d)$", str(text))
    if not match or int(match.group(1)) < 3:
        raise ValueError("compute capability '%s' is not MAJOR.MINOR, such as 12.0 (nvidia-smi --query-gpu=compute_cap)" % text)
    return int(match.group(1)) * 10 + int(match.group(2))


def parse_cuda_version(text):
    """"13.0" as (13, 0).

    :raises ValueError: not of the form MAJOR.MINOR.
    """
    match = re.match(r"^(\d{1,2})\.(\d{1,2})$", str(text))
    if not match:
        raise ValueError("CUDA version '%s' is not MAJOR.MINOR, such as 13.0 (the head of nvidia-smi shows the driver's)" % text)
    return int(match.group(1)), int(match.group(2))


def name(capability):
    """120 as "12.0"."""
    return "%d.%d" % divmod(capability, 10)


def cuda_for_isa(isa):
    """The oldest CUDA version that compiles PTX of an ISA version.

    :param isa: (major, minor)
    :returns: (major, minor)
    """
    major, minor = isa
    if major < 6:
        return 9, 0
    if major == 6:
        return (9, minor) if minor < 3 else (10, minor - 3)
    if major == 8:
        return PTX_8_FROM.get(minor, (12, minor))
    return major + 4, minor


def _in_family(sm, capability):
    """Whether code for the family of an SM architecture runs on a capability: True, False or None (targets.py knows family or card not)."""
    if sm == capability:
        return True
    if sm > capability:
        return False
    if sm not in TARGETS or (capability not in TARGETS and sm // 10 == capability // 10):
        return None
    return capability in TARGETS[sm].family


def machine_code_runs(sm, suffix, capability):
    """Whether a cubin for an SM architecture runs on a capability: True, False or None (not known)."""
    if suffix == "a":
        return sm == capability
    if suffix == "f":
        return _in_family(sm, capability)
    if sm == capability:
        return True
    if sm // 10 != capability // 10 or sm > capability:
        return False
    return True if all(number in TARGETS and not TARGETS[number].tegra for number in (sm, capability)) else None


def ptx_fits(sm, suffix, capability):
    """Whether PTX for a target may be compiled for a capability, ISA version aside: True, False or None (not known)."""
    if suffix == "a":
        return sm == capability
    if suffix == "f":
        return _in_family(sm, capability)
    return sm <= capability


def ptx_verdict(isa, capability, driver_cuda):
    """jit, ptx_too_new, or unknown where only the driver's CUDA version would tell."""
    needed = cuda_for_isa(isa)
    if driver_cuda is not None:
        return "jit" if driver_cuda >= needed else "ptx_too_new"
    known_by = TARGETS[capability].cuda if capability in TARGETS else (0, 0)  # a card runs, so its driver is no older
    return "jit" if known_by >= needed else "unknown"


def _preference(entry):
    """What the driver takes first among machine code that runs: code for this very card, then the nearest SM."""
    return {"a": 2, "f": 1, "": 0}[entry.suffix], entry.sm


def judge_entries(entries, capability, driver_cuda):
    """What a GPU makes of one module.

    The driver picks an entry by its target and only then looks for kernels in it: where the one that it picks holds none, a launch ends
    with error 500 although another entry has the kernel (tests/gpu shows it). Whoever compiles a module so means that GPU to have no
    kernel of it; so the answer is then "nothing to run", not "does not run".

    :param entries: list of fatbin.Entry.
    :param capability: int, 120 for 12.0.
    :param driver_cuda: (major, minor) or None where it is not known.
    :returns: one of VERDICTS, or None where the module holds no kernel, or none for this GPU.
    """
    if all(entry.kernels is False for entry in entries):
        return None
    cubins = [(machine_code_runs(entry.sm, entry.suffix, capability), entry) for entry in entries if entry.kind == "cubin"]
    run = [entry for runs, entry in cubins if runs]
    if run:
        best = max(map(_preference, run))
        return None if all(entry.kernels is False for entry in run if _preference(entry) == best) else "native"
    ptx = [(ptx_fits(entry.sm, entry.suffix, capability), entry) for entry in entries if entry.kind == "ptx"]
    fitting = [entry for fits, entry in ptx if fits]
    if fitting:
        best = max(map(_preference, fitting))
        chosen = [entry for entry in fitting if _preference(entry) == best]
        if all(entry.kernels is False for entry in chosen):
            return None
        verdicts = [ptx_verdict(entry.isa, capability, driver_cuda) for entry in chosen if entry.kernels is not False]
        return min(verdicts, key=VERDICTS.index)
    if any(runs is None for runs, _entry in cubins + ptx) or any(entry.kind.isdigit() for entry in entries):
        return "unknown"
    return "none"  # LTO-IR counts for nothing: a linker makes machine code of it, the driver does not


def worst(verdicts):
    """The worst of some verdicts, None where there is none."""
    present = [verdict for verdict in verdicts if verdict is not None]
    return max(present, key=VERDICTS.index) if present else None
