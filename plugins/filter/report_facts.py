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
    description: What the engine says of the image, or an empty dict.
    type: dict
    default: {}
  layers:
    description: Lines of C(docker image history --human=false --no-trunc --format '{{json .}}'). A line that is no JSON is left out.
    type: list
    elements: str
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

import json
import re

PASSWORD = re.compile(r"://[^\s/@]+@")  # an address of an index may carry one
CPU = ("model", "sockets", "cores", "threads")
MEMORY = ("total", "available", "bandwidth")
CARD = ("pci", "uuid", "name", "memory", "memory_free", "capability", "driver")


def _layers(lines):
    for line in lines:
        try:
            layer = json.loads(line)
            yield {"made_by": PASSWORD.sub("://…@", " ".join(str(layer["CreatedBy"]).split())), "size": int(layer["Size"])}
        except (ValueError, KeyError, TypeError):
            continue  # of another engine, which says it otherwise


def report_facts(host, image=None, layers=()):
    """Machine and image of a report."""
    host, image = host or {}, image or {}
    return {
        "machine": {"cpu": {key: (host.get("cpu") or {}).get(key) for key in CPU}, "memory": {key: (host.get("memory") or {}).get(key) for key in MEMORY},
                    "gpus": [{key: card.get(key) for key in CARD} for card in host.get("gpus") or []]},
        "image": {"name": ([str(name) for name in image.get("RepoTags") or []] or [""])[0], "id": image.get("Id") or "", "size": image.get("Size"),
                  "layers": list(_layers(layers))}}


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"report_facts": report_facts}
