# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: superfluous_images
short_description: Say which names of golden images the host needs no more
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns, for the role golden_image, the tags that go - images of earlier inputs beyond those that are kept, images that an interrupted play left
    unproven, and earlier aliases of the image of this run.
options:
  _input:
    description: What the engine has, lines V(image TAG IDENTIFIER), newest first, and V(used IDENTIFIER) for each container.
    type: list
    elements: str
    required: true
  current:
    description: Hash of the inputs of this run.
    type: str
    required: true
  alias:
    description: The tag that people know.
    type: str
    required: true
  keep:
    description: How many images of earlier inputs stay.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Show what would go
  ansible.builtin.debug:
    msg: "{{ lines | protocol_omni.bunker.superfluous_images(current=hash, alias='sm120-cuda13', keep=1) }}"
"""

RETURN = r"""
_value:
  description: The tags.
  type: list
  elements: str
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import image_names


def superfluous_images(lines, current, alias, keep):
    """The tags that go."""
    return image_names.superfluous(lines, current, alias, int(keep))


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"superfluous_images": superfluous_images}
