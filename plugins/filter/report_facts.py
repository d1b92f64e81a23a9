# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: report_facts
short_description: What a report says of the host and its image beside the claims
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns, of what was read of a host, the figures that a report shows, and of an image its layers.
options:
  _input:
    description: The fact C(bunker_host), or an empty dict.
    type: dict
    required: true
  image:
    description: C(image) of M(protocol_omni.bunker.golden_image_info), or an empty dict.
    type: dict
    default: {}
  layers:
    description: C(layers) of M(protocol_omni.bunker.golden_image_info).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ bunker_host | protocol_omni.bunker.report_facts }}"
"""

RETURN = r"""
_value:
  description: C(machine) with C(cpu), C(memory) and C(gpus); C(image) with C(name), C(id), C(size) (bytes) and C(layers) (C(made_by), C(size) in bytes).
  type: dict
"""

CPU = ("model", "sockets", "cores", "threads")
MEMORY = ("total", "available", "bandwidth")
CARD = ("pci", "uuid", "name", "memory", "memory_free", "capability", "driver")


def report_facts(host, image=None, layers=()):
    """Machine and image of a report."""
    host, image = host or {}, image or {}
    return {
        "machine": {"cpu": {key: (host.get("cpu") or {}).get(key) for key in CPU}, "memory": {key: (host.get("memory") or {}).get(key) for key in MEMORY},
                    "gpus": [{key: card.get(key) for key in CARD} for card in host.get("gpus") or []]},
        "image": {"name": (image.get("tags") or [""])[0], "id": image.get("id") or "", "size": image.get("size"), "layers": list(layers)}}


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"report_facts": report_facts}
