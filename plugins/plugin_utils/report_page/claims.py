# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims, with filter and evidence."""
from __future__ import annotations

from ..screen import claim_table
from .markup import Html, table, tag

MARKS = {"fails": "✗", "holds": "✓", "does not apply": "–"}


def status(word):
    """A status that is told by its mark and its word, not by colour alone."""
    return tag("span", tag("span", MARKS.get(word, "?"), aria_hidden="true"), " ", word, class_="status %s" % word.replace(" ", "-"))


def _evidence(claim):
    rows = [(word, claim.get(key)) for word, key in (("expected", "expected"), ("observed", "observed"), ("why it does not apply", "reason"))]
    return tag("dl", *[part for word, value in rows if value for part in (tag("dt", word), tag("dd", value))])


def _row(claim, service):
    where = service or claim.get("role", "")
    told = (claim.get("reason") or claim.get("observed") or "")
    evidence = tag("details", tag("summary", told[:90] + ("…" if len(told) > 90 else "")), _evidence(claim),
                   open=claim.get("status") == "fails" and not claim.get("see"))
    return tag("tr", tag("td", status(claim.get("status", ""))),
               tag("th", tag("code", claim["id"]), tag("span", claim.get("sentence", ""), class_="sentence"), scope="row"), tag("td", evidence),
               data_status=claim.get("status", ""), data_group=where)


def _filters(names, counts):
    """Works by the script alone: hidden until it runs."""
    boxes = [tag("label", tag("input", type="checkbox", value=word, checked=True, class_="of-status"), " %s (%d)" % (word, counts[word]))
             for word in claim_table.ORDER]
    choice = tag("select", tag("option", "all", value=""), *[tag("option", name, value=name) for name in names], id="of-group")
    words = tag("input", type="search", id="of-words", autocomplete="off")
    return tag("form", tag("fieldset", tag("legend", "Show"), *boxes),
               tag("label", "of ", choice, for_="of-group"), tag("label", "with the words ", words, for_="of-words"),
               tag("p", "", id="shown", role="status"), class_="filters", id="filters", hidden=True)


def section(report):
    """The section of the claims, what fails first."""
    claims, services = report.get("claims") or [], report.get("services") or {}
    first, rest, names = [], [], []
    for _title, group in claim_table.groups(claims, services):
        prefix = group[0]["id"].partition(".")[0]
        service = prefix if prefix in services else ""
        names.append(service or group[0].get("role", ""))
        for claim in group:
            (first if claim["status"] == "fails" else rest).append(_row(claim, service))
    told = tag("table", tag("caption", "Claims: %s" % claim_table.told(claims)),
               tag("thead", tag("tr", tag("th", "status", scope="col"), tag("th", "claim", scope="col"), tag("th", "evidence", scope="col"))),
               tag("tbody", *first, *rest), id="claims-table")
    return tag("section", tag("h2", "Claims"), _filters(sorted(set(names)), claim_table.counts(claims)), told, id="claims", aria_label="Claims")


def egress(report):
    """The attempts to get out of each service, folded."""
    parts = []
    for name, service in sorted((report.get("services") or {}).items()):
        attempts = service.get("egress") or []
        if attempts:
            rows = [(row.get("attempt"), row.get("network"), row.get("expected"), row.get("observed") or "does not apply",
                     row.get("does_not_apply") or row.get("evidence")) for row in attempts]
            parts.append(tag("details", tag("summary", "%d attempts to get out of %s" % (len(attempts), name)),
                             table("Attempts to get out of %s" % name, ("attempt", "network", "expected", "observed", "evidence"), rows)))
    return tag("section", tag("h2", "Attempts to get out"), *parts, id="egress", aria_label="Attempts to get out") if parts else Html("")
