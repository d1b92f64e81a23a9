# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims: sentences that can be false, and what was observed of them. Pure functions.

A catalogue entry is ``{"sentence": str, "doctrine": str, "observed_by": str}`` under an id such as
``image.size``. An id that begins with ``SERVICE.`` stands for one claim of every service.
"""
from __future__ import annotations

HOLDS = "holds"
FAILS = "fails"
DOES_NOT_APPLY = "does not apply"


def expand(catalogue, services):
    """The ids that a report owes: ``SERVICE.x`` becomes one id a service.

    :param catalogue: dict of id to entry.
    :param services: list of service names.
    """
    owed = {}
    for claim_id, entry in catalogue.items():
        if claim_id.startswith("SERVICE."):
            for service in services:
                owed[service + claim_id[len("SERVICE"):]] = dict(entry, service=service)
        else:
            owed[claim_id] = entry
    return owed


def judge(claim_id, entry, result):
    """One row of the report.

    :param result: dict with ``expected`` and ``observed`` (str) and either ``holds`` (bool) or
        ``does_not_apply`` (str, the reason).
    :raises ValueError: the result is neither or both, or lacks what was observed.
    """
    reason = result.get("does_not_apply") or ""
    holds = result.get("holds")
    if bool(reason) == isinstance(holds, bool):
        raise ValueError("claim %s needs either holds (a boolean, found %r) or does_not_apply (a reason)" % (claim_id, holds))
    if not reason and not (str(result.get("expected", "")) and str(result.get("observed", ""))):
        raise ValueError("claim %s needs expected and observed" % claim_id)
    status = DOES_NOT_APPLY if reason else HOLDS if holds else FAILS
    return {
        "id": claim_id, "role": entry.get("role", ""), "sentence": entry["sentence"], "status": status,
        "expected": str(result.get("expected", "")), "observed": str(result.get("observed", "")), "reason": reason,
    }


def complete(rows, owed, errors=None):
    """Every owed id in order; one that nobody observed fails. The cause stands in the first of a role or service, to which the others point.

    :param rows: dict of id to row, as :func:`judge` makes them.
    :param errors: dict of role, or of "role service", to the message of the error that stopped its observation.
    :returns: list of rows. One that points elsewhere has the id of that claim as ``see``.
    """
    report, causes = [], {}
    for claim_id, entry in owed.items():
        row = rows.get(claim_id)
        if row is None:
            role = entry.get("role", "")
            whose = "%s %s" % (role, entry["service"]) if "service" in entry else role
            reason = (errors or {}).get(whose) or (errors or {}).get(role) or "no role reported it"
            first = causes.setdefault(whose, claim_id)
            see = first if first != claim_id else ""
            row = {"id": claim_id, "role": role, "sentence": entry["sentence"], "status": FAILS, "expected": "an observation",
                   "observed": "not observed: %s" % ("see " + see if see else reason), "reason": "", "see": see}
        report.append(row)
    return report
