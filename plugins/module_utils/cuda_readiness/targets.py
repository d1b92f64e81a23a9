# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every GPU target that CUDA 12 and 13 compile for, its family, and the oldest driver that knows it: data alone; capability.py holds the rules.

Sources, read on 2026-11-29:
- the targets and their suffixes: ``nvcc --list-gpu-code`` and the target names within ptxas of the toolkits 13.0 and 13.5; those that toolkit 13
  dropped: CUDA Toolkit 12.9 release notes;
- the families: what ptxas 13.5 compiles PTX of a family's target for, tried for each pair (tests/cuda/test_gpu_targets.py does it again);
- the first toolkit of a target: the PTX ISA document's release history, and the release notes of CUDA 13.4 for sm_107;
- the driver branches: CUDA Toolkit release notes, table of minor version compatibility; NVIDIA driver release notes for Blackwell.

A target that is in no row here is judged for its own capability alone, and said to be unknown for every other one.
tests/cuda/test_gpu_targets.py fails when the newest toolkit of the package index compiles for one that is missing.
"""
from __future__ import annotations

from collections import namedtuple

#: cuda: (major, minor), the oldest toolkit that compiles for it; the driver that came with it is the oldest that knows such a card
#: suffixes: those that the target is compiled with: "" plain, "a" for this card alone, "f" for its family
#: family: capabilities that machine code of its "f" target runs on, as int; empty where it has none
#: tegra: bool, a board of the Tegra line: plain code of its own capability alone runs there, of anything else nothing is promised
Target = namedtuple("Target", "cuda suffixes family tegra")


def _target(cuda, suffixes="", family=(), tegra=False):
    return Target(cuda, ("",) + tuple(suffixes), frozenset(family), tegra)


#: By SM architecture as an int: 120 for sm_120.
TARGETS = {
    50: _target((6, 0)),
    52: _target((6, 5)),
    53: _target((7, 0), tegra=True),
    60: _target((8, 0)),
    61: _target((8, 0)),
    62: _target((8, 0), tegra=True),
    70: _target((9, 0)),
    72: _target((9, 2), tegra=True),
    75: _target((10, 0)),
    80: _target((11, 0)),
    86: _target((11, 1)),
    87: _target((11, 4), tegra=True),
    88: _target((13, 0)),
    89: _target((11, 8)),
    90: _target((11, 8), "a"),
    100: _target((12, 8), "af", {100, 103, 107}),
    101: _target((12, 8), "af", {101}, tegra=True),  # sm_110 since CUDA 13.0
    103: _target((12, 9), "af", {103, 107}),
    107: _target((13, 4), "af", {107}),
    110: _target((13, 0), "af", {110}, tegra=True),
    120: _target((12, 8), "af", {120, 121}),
    121: _target((12, 9), "af", {121}),
}
#: First driver branch for each major version of CUDA.
BRANCH_OF_CUDA = {11: 450, 12: 525, 13: 580}
#: Blackwell, from this capability on, is driven by NVIDIA's open kernel modules from this branch on.
BLACKWELL, BLACKWELL_BRANCH = 100, 570
