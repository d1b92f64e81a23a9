# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, from its result: what a person reads first, then the end of what a program said."""
from __future__ import annotations

TAIL = 12  # lines of a program's output
EMPTY = ("", "non-zero return code", "The command exited with a non-zero return code.", "MODULE FAILURE", "All items completed")


def _lines(text):
    return [line.rstrip() for line in str(text or "").strip().splitlines() if line.strip()]


def _of_one(result):
    message = str(result.get("msg") or "").strip()
    found = [] if message in EMPTY else _lines(message)
    if result.get("rc") not in (None, 0):
        said = _lines(result.get("stderr") or result.get("module_stderr")) or _lines(result.get("stdout") or result.get("module_stdout"))
        said = [line for line in said[-TAIL:] if line not in found]
        found += said or ["it said nothing"]
        found.append("exit status %s" % result["rc"])
    return found


def cause(result):
    """Lines, the cause first.

    :param result: what a task returned, as a callback gets it. One of a loop has ``results``, of which those that failed are told with their item.
    """
    if "censored" in result:
        return ["what it said is not shown: the task has no_log, as it may hold a secret"]
    failed = [item for item in result.get("results") or [] if isinstance(item, dict) and (item.get("failed") or item.get("unreachable"))]
    found = []
    for item in failed:
        label = item.get("_ansible_item_label", item.get("item", ""))
        said = _of_one(item) or ["no reason was given"]
        found += ["%s: %s" % (label, said[0]) if label != "" else said[0]] + said[1:]
    return found or _of_one(result) or ["no reason was given"]
