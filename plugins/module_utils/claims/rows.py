# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is observed of a claim, as the module claim takes it. Pure functions, for the files of the roles beside this one."""
from __future__ import annotations


def row(expected, observed, holds):
    """A claim that was looked at: what was expected and observed (str), and whether it holds, by whatever is true of it."""
    return {"expected": expected, "observed": observed, "holds": bool(holds)}


def unseen(expected, why):
    """A claim of which nothing could be seen, and why: it does not hold."""
    return row(expected, "not observed: %s" % why, False)


def not_applying(reason):
    """A claim that does not apply, and why."""
    return {"does_not_apply": reason}
