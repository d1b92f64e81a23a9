# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device code can be taken out of a library, given the cards that are to run it. Pure functions; the rule is cuda_readiness's own (capability.py)."""
from __future__ import annotations

from .cuda_readiness import capability
from .cuda_readiness.targets import TARGETS


def names(capabilities):
    """Architectures whose code none of the cards runs, neither as machine code nor compiled from PTX by the driver.

    :param capabilities: list of str, compute capabilities such as "12.0"; at least one.
    :returns: sorted list of names such as sm_90a and compute_121. One of which it is not known stays in the library, so it is not among them.
    :raises ValueError: no capability, or one that is none.
    """
    if not capabilities:
        raise ValueError("no compute capability is known, so nothing can be told to be needless. Name an SM architecture with machine code, such as 120, in "
                         "golden_image_cuda_architectures, or set golden_image_prune: false")
    cards = [capability.parse_capability(text) for text in capabilities]
    found = []
    for sm in TARGETS:
        # A family that no compiler knows (sm_80f) has members that nobody knows: it stays. An "a" is for one card, whether there is such a target or not.
        for suffix in ("", "a", *(("f",) if "f" in TARGETS[sm].suffixes else ())):
            if all(capability.machine_code_runs(sm, suffix, card) is False for card in cards):
                found.append("sm_%d%s" % (sm, suffix))
            if all(capability.ptx_fits(sm, suffix, card) is False for card in cards):
                found.append("compute_%d%s" % (sm, suffix))
    return sorted(found)
