# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: report_page
short_description: The report of a host as a page that needs no network
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns one HTML file with the claims and their evidence, a drawing of what runs, maps of memory, speeds, the layers of the image, and the last runs.
  - What hosts said is written as text, never as markup. Nothing in the page is fetched from anywhere; a policy in it forbids that.
options:
  _input:
    description: The report, as C(playbooks/verify.yml) writes it as JSON. What it lacks is left out, or said to be not known.
    type: dict
    required: true
  throughput:
    description: Text of what C(playbooks/bench.yml) wrote of the host, empty where it has not. One that cannot be read counts as none.
    type: str
    default: ""
  beside:
    description: Names of the files in the folder of the report, of which it links those of this host.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ report | protocol_omni.bunker.report_page }}"
    dest: /srv/reports/omni.html
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

import json

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.report_page import page


def report_page(report, throughput="", beside=()):
    """The page."""
    try:
        measured = json.loads(throughput) if throughput.strip() else None
    except ValueError:
        measured = None
    return page.render(report, measured if isinstance(measured, dict) else None, [str(name) for name in beside])


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"report_page": report_page}
