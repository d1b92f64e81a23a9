# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of cards before a driver shows their UUIDs: the slot and the model, as the PCI bus tells them. Pure functions.

Such a name is "PCI-0000:01:00.0-2bb1": the card's address and its device id. It becomes the UUID of the card that is in that slot, or of the only one of that
model that no other name means, once the driver answers: nobody edits the inventory in between.
"""
from __future__ import annotations

import re

PCI_NAME = re.compile(r"^PCI-([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])-([0-9a-f]{4})$")


def of_card(card):
    """The name of a card (an entry of ``gpus`` of host_info) without its UUID."""
    return "PCI-%s-%s" % (card["pci"], card["pci_device"])


def resolve(names, cards):
    """The names with UUIDs, where the host's cards tell them; others stay as they are.

    :param names: list of str, UUIDs and names of slots.
    :param cards: the list ``gpus`` of host_info, [] where the host has not been read.
    :returns: list of str, in the same order.
    """
    known = [card for card in cards if card["uuid"]]
    found = {}
    for name in names:
        match = PCI_NAME.match(name)
        there = [card["uuid"] for card in known if match and (card["pci"], card["pci_device"]) == match.groups()]
        found[name] = there[0] if there else name
    for name in names:  # a card that has moved to another slot
        match = PCI_NAME.match(found[name])
        left = [card["uuid"] for card in known if match and card["pci_device"] == match.group(2) and card["uuid"] not in found.values()]
        rivals = [other for other in set(names) if match and found[other] == other and other.endswith(match.group(2))]
        if len(left) == 1 and len(rivals) == 1:
            found[name] = left[0]
    return [found[name] for name in names]


def resolved_services(services, cards):
    """The services with UUIDs in ``gpus``, as :func:`resolve`; other services are the same objects."""
    return [dict(service, gpus=resolve(service["gpus"], cards)) if any(map(PCI_NAME.match, service.get("gpus") or [])) else service for service in services]
