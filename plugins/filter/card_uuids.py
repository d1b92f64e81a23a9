# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: card_uuids
short_description: UUIDs of cards that an inventory names by slot and model
version_added: 0.2.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - A host without a driver shows no UUIDs. Until it does, a service may name its cards as C(PCI-ADDRESS-DEVICE), with the address and the device id of the
    PCI bus, through this filter. The names become UUIDs as soon as the driver answers, in the same run of C(site.yml) that installs it.
  - A card that has moved to another slot is found by its model where there is one alone of it.
options:
  _input:
    description: Names of cards, such as V(PCI-0000:01:00.0-2bb1). UUIDs stay as they are.
    type: list
    elements: str
    required: true
  host:
    description: The fact C(bunker_host), or an empty dict where the host has not been read yet.
    type: dict
    required: true
"""

EXAMPLES = r"""
bunker_services:
  - name: oracle
    gpus: "{{ ['PCI-0000:01:00.0-2bb1'] | protocol_omni.bunker.card_uuids(bunker_host | default({})) }}"
"""

RETURN = r"""
_value:
  description: The names, with UUIDs for those that the host's driver knows.
  type: list
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils import card_names


def card_uuids(names, host):
    """The names with UUIDs."""
    return card_names.resolve(list(names), (host or {}).get("gpus") or [])


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"card_uuids": card_uuids}
