# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims as a table: by role, what fails first."""
from __future__ import annotations

ORDER = ("fails", "holds", "does not apply")
WORDS = {"fails": "fails", "holds": "holds", "does not apply": "n/a"}
MARK = {"fails": ("fails", "bad"), "holds": ("done", "good"), "does not apply": ("left", "dim")}


def counts(claims):
    """Status to how many claims have it, in the order of the table."""
    return {status: sum(claim["status"] == status for claim in claims) for status in ORDER}


def told(claims):
    """Such as ``1 fails, 61 hold, 34 do not apply``."""
    found = counts(claims)
    return "%d %s, %d %s, %d %s" % (
        found["fails"], "fails" if found["fails"] == 1 else "fail", found["holds"], "holds" if found["holds"] == 1 else "hold",
        found["does not apply"], "does not apply" if found["does not apply"] == 1 else "do not apply")


def groups(claims, services=()):
    """Pairs of a heading and its claims: a role's, or a service's. Groups in which something fails come first; in each what fails comes first.

    :param services: names of services, whose claims begin with them.
    """
    found = {}
    for claim in claims:
        name = claim["id"].partition(".")[0]
        found.setdefault("%s (%s)" % (name, claim["role"]) if name in services else claim["role"], []).append(claim)
    for rows in found.values():
        rows.sort(key=lambda claim: ORDER.index(claim["status"]))
    return sorted(found.items(), key=lambda pair: ORDER.index(pair[1][0]["status"]) > 0)


def _columns(claims, look):
    """Columns of id, expected and observed. Where a terminal is narrow, expected is told of failing claims alone."""
    name = min(max(len(claim["id"]) for claim in claims), 30 if look.width >= 60 else look.width // 3)
    rest = look.width - 3 - look.mark_width - name
    if look.width < 120:
        return name, 0, rest
    return name, rest * 2 // 5 - 2, rest - rest * 2 // 5


def _row(claim, sizes, look):
    name, expected, observed = sizes
    mark, paint = MARK[claim["status"]]
    words = [" " + look.mark(mark, paint), look.fill(claim["id"], name)]
    if expected:
        words += [look.fill(claim["expected"], expected) + " "]
    return (" ".join(words) + " " + look.cut(claim["reason"] or claim["observed"], observed)).rstrip()


def _failing(claim, look):
    """A failing claim in full: nothing of it is cut."""
    found = [" %s %s" % (look.mark("fails", "bad"), look.paint(line, "bad")) if number == 0 else "   " + " " * look.mark_width + look.paint(line, "bad")
             for number, line in enumerate(look.wrap(claim["id"], look.width - 3 - look.mark_width))]
    for word, text in (("", claim["sentence"]), ("expected", claim["expected"]), ("observed", claim["observed"])):
        for number, line in enumerate(look.wrap(text, look.width - 15)):
            found.append("     " + look.paint((word if number == 0 else "").ljust(10), "dim") + line)
    return found


def _left_out(claims, look):
    """Claims that do not apply, by their reason."""
    reasons, found = {}, []
    for claim in claims:
        reasons.setdefault(claim["reason"], []).append(claim["id"])
    indent = look.mark_width + 2
    for reason, names in reasons.items():
        lines = look.wrap("%s: %s" % (", ".join(names), reason), look.width - indent)
        found.append(" %s %s" % (look.mark("left", "dim"), look.paint(lines[0], "dim")))
        found += [" " * indent + look.paint(line, "dim") for line in lines[1:]]
    return found


def table(claims, look, services=()):
    """Lines of the table, with its heading. What fails is told in full, what holds in a line each, what does not apply by its reason."""
    if not claims:
        return []
    sizes = _columns(claims, look)
    head = [" " + " " * look.mark_width, look.fill("claim", sizes[0])] + ([look.fill("expected", sizes[1]) + " "] if sizes[1] else []) + ["observed"]
    found = [look.paint(" ".join(head), "dim"), look.rule()]
    for title, rows in groups(claims, services):
        whole = counts(rows)
        found.append(look.paint(look.cut("%s  %s" % (title, told(rows) if whole["fails"] else "%d of %d hold" % (whole["holds"], len(rows))), look.width),
                                "bad" if whole["fails"] else "bold"))
        seen = [row for row in rows if row["status"] == "fails" and not row.get("see")]
        for claim in seen:
            found += _failing(claim, look)
        pointing = {}
        for claim in rows:
            if claim.get("see"):
                pointing.setdefault(claim["see"], []).append(claim["id"])
        for cause, names in pointing.items():
            found += ["     " + line for line in look.wrap("%d further claims could not be observed, see %s: %s" % (len(names), cause, ", ".join(names)),
                                                           look.width - 5)]
        found += [_row(claim, sizes, look) for claim in rows if claim["status"] == "holds"]
        found += _left_out([claim for claim in rows if claim["status"] == "does not apply"], look)
    return found
