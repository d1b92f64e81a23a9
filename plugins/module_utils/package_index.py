# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds one file of a package on a Python package index, without running anything of that package.

pip would have to build the metadata of a source distribution before it hands the archive over. The simple
repository API gives the address directly: PEP 691 (JSON), or PEP 503 (HTML) where an index speaks only that.
"""
from __future__ import annotations

import html.parser
import json
import re
from urllib.parse import urldefrag, urljoin

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"


class _Anchors(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = {}
        self._href = None

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data):
        if self._href:
            self.links[data.strip()] = self._href
            self._href = None


def project_url(index, package):
    """The address of a project's page; the name is normalised as PEP 503 says."""
    return "%s/%s/" % (index.rstrip("/"), re.sub(r"[-_.]+", "-", package).lower())


def file_url(page_url, content_type, body, filename):
    """The absolute address of a file on a project's page, or None where the page does not list it."""
    if "json" in content_type:
        links = {entry["filename"]: entry["url"] for entry in json.loads(body)["files"]}
    else:
        anchors = _Anchors()
        anchors.feed(body)
        links = anchors.links
    if filename not in links:
        return None
    return urldefrag(urljoin(page_url, links[filename]))[0]
