# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of earlier runs: a few figures each, in the report itself."""
from __future__ import annotations

import json

KEPT = 20  # runs
SPEEDS = ("generation_speed", "prompt_speed")


def summary(report):
    """The figures of a report that later ones show.

    :returns: dict with ``date``, a number for each status, ``failing`` (ids, what only points elsewhere left out) and ``speeds`` by service.
    """
    claims = report.get("claims") or []
    found = {status: sum(claim.get("status") == status for claim in claims) for status in ("fails", "holds", "does not apply")}
    speeds = {name: {key: service[key] for key in SPEEDS if service.get(key) is not None} for name, service in (report.get("services") or {}).items()}
    failing = [claim["id"] for claim in claims if claim.get("status") == "fails" and not claim.get("see")]
    return dict(found, date=report.get("date"), failing=failing, speeds=speeds)


def with_history(report, earlier):
    """The report, with what is kept of the runs before it.

    :param report: the new report.
    :param earlier: text of the report before it; empty where there is none.
    :returns: the report with ``history``, a list, oldest first; and with ``history_lost``, a sentence, where the earlier text could not be read.
    """
    if not earlier.strip():
        return dict(report, history=[])
    try:
        before = json.loads(earlier)
        kept = list(before.get("history") or []) + [summary(before)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return dict(report, history=[], history_lost="The report before this one could not be read, so its history is lost: %s" % error)
    return dict(report, history=kept[-KEPT:])
