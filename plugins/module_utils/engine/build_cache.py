# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the engine's build cache may grow, by what buildx says. Pure functions. Standard library only."""
from __future__ import annotations

import re

# Docker 26 calls the bound Keep Bytes, 28 Max Used Space.
_BOUND = re.compile(r"(?:Keep Bytes|Max Used Space):\s+([0-9.]+[KMGT])i?B")


def bounds(text):
    """The bounds of the garbage collection, in the order of its rules: list of str such as "18.63G".

    :param text: what ``docker buildx inspect`` printed.
    """
    return _BOUND.findall(text)
