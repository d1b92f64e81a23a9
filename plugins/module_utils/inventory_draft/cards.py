# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cards a service can have, and what is known of them before a driver tells it."""
from __future__ import annotations

import collections

from .. import card_names

GB, GIB = 10 ** 9, 1 << 30
KEPT = 7 * GIB  # of each card: what vram_watch_warn wants to see (roles/vram_watch)
KEPT_OF_SMALL = 7 / 16  # of a card that has less than 16 GiB: caches and buffers of the small models that lie on it take less too
# CUDA 13 compiles for Turing (7.5) and newer: its release notes name Maxwell, Pascal and Volta as removed.
OLDEST = (7, 5)
# PCI device id: name, VRAM in GiB, bandwidth in GB a second. Names: the PCI ID Repository (pci.ids); figures: NVIDIA's data sheets of these cards.
KNOWN = {
    "2bb1": ("RTX PRO 6000 Blackwell Workstation", 96, 1792), "2bb4": ("RTX PRO 6000 Blackwell Max-Q", 96, 1792),
    "2bb5": ("RTX PRO 6000 Blackwell Server", 96, 1597), "2b85": ("GeForce RTX 5090", 32, 1792), "2c02": ("GeForce RTX 5080", 16, 960),
    "2684": ("GeForce RTX 4090", 24, 1008), "2704": ("GeForce RTX 4080", 16, 717), "26b1": ("RTX 6000 Ada", 48, 960), "26b9": ("L40S", 48, 864),
    "2204": ("GeForce RTX 3090", 24, 936), "2330": ("H100 SXM5", 80, 3350), "2331": ("H100 PCIe", 80, 2039), "2335": ("H200 SXM", 141, 4800),
    "20b0": ("A100 SXM4 40GB", 40, 1555), "20b2": ("A100 SXM4 80GB", 80, 2039), "20b5": ("A100 PCIe 80GB", 80, 1935),
}
# name: as services write it; memory and bandwidth: None where nobody says; note: why, or where from.
Card = collections.namedtuple("Card", ["name", "model", "pci", "memory", "bandwidth", "architecture"])


def _capability(card):
    return tuple(int(part) for part in card["capability"].split(".")) if card["capability"] else None


def _model(card):
    return (card["name"] or KNOWN.get(card["pci_device"], ("NVIDIA card %s" % card["pci_device"],))[0])


def _as_card(card, name, memory):
    known = KNOWN.get(card["pci_device"])
    capability = _capability(card)
    return Card(name, _model(card), card["pci"], memory if memory is not None else known and known[1] * GIB, known and known[2] * GB,
                "%d%d" % capability if capability else None)


def usable(host):
    """Cards that a service can have, those with most memory first, and why others are left.

    A card that is split (MIG) stands for its largest slice: CUDA enumerates one slice for a program.

    :param host: what host_info returned.
    :returns: tuple of a list of :class:`Card` and a list of sentences.
    """
    found, left = [], []
    answers = any(card["uuid"] for card in host["gpus"])
    for card in host["gpus"]:
        where = "%s at %s" % (_model(card), card["pci"] or card["uuid"])
        capability = _capability(card)
        slices = sorted((part for part in host["slices"] if part["card"] == card["uuid"]), key=lambda part: -(part["memory"] or 0))
        if capability and capability < OLDEST:
            left.append("%s: compute capability %s; CUDA 13 compiles for 7.5 and newer" % (where, card["capability"]))
        elif card["unreadable"]:
            left.append("%s: nvidia-smi says %s; see: nvidia-smi -q" % (where, ", ".join(sorted(set(card["unreadable"].values())))))
        elif not card["uuid"] and not card["pci_device"]:
            left.append("%s: neither driver nor bus name it" % where)
        elif not card["uuid"] and (card.get("kernel_driver") or "").startswith("vfio"):
            left.append("%s: %s has it, for a virtual machine" % (where, card["kernel_driver"]))
        elif not card["uuid"] and answers:  # its name would never become a UUID
            left.append("%s: the driver shows other cards and not this one; see: dmesg" % where)
        elif slices:
            found.append(_as_card(card, slices[0]["uuid"], slices[0]["memory"])._replace(model="%s of %s" % (slices[0]["profile"], _model(card))))
        elif card["mig"]:
            left.append("%s: it is split (MIG) and has no slice; make one, or end the split: nvidia-smi -i %s -mig 0" % (where, card["pci"]))
        else:
            found.append(_as_card(card, card["uuid"] or card_names.of_card(card), card["memory"]))
    found.sort(key=lambda card: -(card.memory or 0))
    if any(card.name.startswith("MIG-") for card in found):
        whole = [card for card in found if not card.name.startswith("MIG-")]
        for card in found if whole else found[1:]:
            if card.name.startswith("MIG-") or not whole:
                left.append("%s: a service has one slice alone, or whole cards" % card.model)
        found = whole or found[:1]
    left += ["%s card %s at %s: the image has CUDA's kernels and no others" % (card["vendor"], card["pci_device"], card["pci"]) for card in host["other_gpus"]]
    return found, left


def room(card):
    """Bytes of a card that weights may take; 0 where nobody knows its memory."""
    return (card.memory or 0) - min(KEPT, int((card.memory or 0) * KEPT_OF_SMALL))


def watched(cards):
    """(GiB under which the watch warns, GiB under which it acts) for small cards: an eighth of the smallest, and half of that; None for others."""
    small = min((card.memory for card in cards if card.memory), default=0)
    warn = round(small / GIB / 8, 1)
    return (warn, warn / 2) if warn and int(small * KEPT_OF_SMALL) < KEPT else None


def enough(cards, needed):
    """The fewest cards that hold so many bytes of weights; all of them where not even all do.

    :param cards: of :func:`usable`.
    :param needed: bytes.
    """
    held = 0
    for number, card in enumerate(cards, 1):
        held += room(card)
        if held >= needed:
            return cards[:number]
    return cards


def architectures(cards):
    """SM architectures to compile for, as golden_image_cuda_architectures takes them; [] where none is known."""
    return sorted({card.architecture for card in cards if card.architecture}, key=int)
