# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole page."""
from __future__ import annotations

import base64
import hashlib

from ..screen import claim_table
from . import assets, claims, drawing, figures, history
from .markup import Html, tag

BESIDE = ((".cdx.json", "SBOM (CycloneDX)"), (".spdx.json", "SBOM (SPDX)"), (".inputs.lock", "lock of the image's inputs"),
          (".throughput.json", "measurements of the throughput"), (".json", "this report as JSON"), (".md", "this report as Markdown"))
PARTS = (("runs", "What runs"), ("claims", "Claims"), ("memory", "Memory"), ("speed", "Speed"), ("image", "Image and SBOM"), ("egress", "Attempts to get out"),
         ("history", "Last runs"))


def _hash(content):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")


def links(host, names):
    """Pairs of a file that lies beside the report and what it is.

    :param names: names of the files in the folder of the report.
    """
    return [(host + ending, words) for ending, words in BESIDE if host + ending in names]


def verdict(report):
    """What came of the run, in a sentence."""
    found = claim_table.counts(report.get("claims") or [])
    return tag("p", "Claims: %s." % claim_table.told(report.get("claims") or []), class_="verdict fails" if found["fails"] else "verdict")


def render(report, throughput=None, beside=()):
    """The page: str.

    :param report: the JSON report of a host, as playbooks/verify.yml writes it. What it lacks is left out or said.
    :param throughput: what playbooks/bench.yml wrote of the host; None where it has not.
    :param beside: names of the files that lie in the folder of the report, which it links.
    """
    host = str(report.get("host", ""))
    sections = [drawing.section(report), claims.section(report), figures.memory(report), figures.speeds(report, throughput),
                figures.image(report, links(host, beside)), claims.egress(report), figures.history(report, history.summary(report))]
    there = [(name, words) for name, words in PARTS if any(' id="%s"' % name in part[:200] for part in sections)]
    policy = "default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'" % (_hash(assets.STYLE), _hash(assets.SCRIPT))
    head = tag("head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=policy),
               tag("meta", name_="viewport", content="width=device-width, initial-scale=1"), tag("meta", name_="color-scheme", content="light dark"),
               tag("title", "Report of %s" % host), tag("style", Html(assets.STYLE)))
    made = "Made %s by protocol_omni.bunker" % ("%s (UTC)" % report["date"] if report.get("date") else "at a time that is not known")
    parts = tag("nav", tag("ul", *[tag("li", tag("a", words, href="#" + name)) for name, words in there]), aria_label="Parts of the report")
    body = tag("body", tag("a", "To the claims", href="#claims", class_="skip"),
               tag("header", tag("h1", "Report of %s" % host), tag("p", made, class_="small"), verdict(report), parts),
               tag("main", *sections),
               tag("footer", tag("p", "Each claim is a check that can fail. One that does not apply to this host says why. This page asks no network.")),
               tag("script", Html(assets.SCRIPT)))
    return "<!DOCTYPE html>\n%s\n" % tag("html", head, body, lang="en")
