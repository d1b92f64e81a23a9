# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role disk_layout, judged. Pure functions.

Their sentences stand in roles/disk_layout/vars/claims.yml; the module volume_info looks.
"""
from __future__ import annotations

from .. import volume_rules


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``volumes`` (disk_layout_volumes with all defaults) and ``root_limit`` (percent).
    :param seen: what volume_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    return dict(volume_rules.claims(wanted["volumes"], seen["volumes"]), **{"root.room": _root(wanted["root_limit"], seen["root_use"])})


def _root(limit, use):
    """A root that tells no sizes is full, as volume_info has it."""
    return {"expected": "at most %d %%" % limit, "observed": "%d %%" % use, "holds": use <= limit}
