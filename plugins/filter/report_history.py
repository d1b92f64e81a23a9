# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: report_history
short_description: A report with the figures of the runs before it
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Adds C(history) to a report, a few figures for each of the last twenty runs, from the report that it is to replace.
  - Where that report cannot be read, C(history_lost) says why.
options:
  _input:
    description: The new report.
    type: dict
    required: true
  earlier:
    description: Text of the report before it, empty where there is none.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Keep the history
  ansible.builtin.set_fact:
    report: "{{ report | protocol_omni.bunker.report_history(lookup('ansible.builtin.file', 'reports/omni.json', errors='ignore') or '') }}"
"""

RETURN = r"""
_value:
  description: The report with C(history), oldest first. Each has C(date), a number a status, C(failing) (ids) and C(speeds) by service.
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.report_page import history


def report_history(report, earlier):
    """The report with its history."""
    return history.with_history(report, earlier or "")


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"report_history": report_history}
