# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG slices: parts of a card that a service can have as if each were one. Pure functions: what nvidia-smi prints in, facts out. Sizes are bytes.

A slice is a dict of ``uuid``, ``card`` (UUID), ``profile`` (such as "1g.24gb"), ``memory``, ``memory_free`` (None where nobody says) and ``room``, a name of
the memory that it lives in: several compute slices ("1c.3g.40gb") of one part share its memory.
"""
from __future__ import annotations

import re
from xml.etree import ElementTree

_CARD = re.compile(r"^GPU +(\d+): .*\(UUID: (GPU-[0-9a-zA-Z-]+)\)\s*$")
_SLICE = re.compile(r"^\s+MIG +(\S+) +Device +(\d+): \(UUID: (MIG-[0-9a-zA-Z-]+)\)\s*$")
# [compute slices.]slices of the card . gigabytes, and what else it has: +me (media engines), +gfx, -me, +me.all.
_PROFILE = re.compile(r"^(?:(\d+)c\.)?\d+g\.(\d{1,4})gb(?:[+-][a-z.]+)*$")
# A profile's name rounds: "1g.12gb" has 10.62 GiB, "1g.24gb" 21.5 or 23.12, "3g.40gb" 39.5 (nvidia-smi mig -lgip). So much of the name is there in any case.
OF_NAME = 0.95


def memory_of_profile(profile):
    """Bytes that a slice of a profile has at least, by the profile's name; None where it does not say, or where it shares them with others."""
    found = _PROFILE.match(profile)
    return int(int(found.group(2)) * 10 ** 9 * OF_NAME) if found and not found.group(1) else None


def _mebibytes(text):
    found = re.match(r"^(\d{1,12}) MiB$", (text or "").strip())
    return int(found.group(1)) << 20 if found else None


def _details(xml):
    """(card's UUID, index of the slice) to (instance, total, free) of ``nvidia-smi -q -x``; {} where it cannot be read."""
    try:
        root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", xml))
    except (ElementTree.ParseError, ValueError):
        return {}
    found = {}
    for card in root.iter("gpu"):
        for part in card.iter("mig_device"):
            index = (part.findtext("index") or "").strip()
            if index.isdigit():
                found[(card.findtext("uuid") or "").strip(), index] = (
                    (part.findtext("gpu_instance_id") or "").strip(), _mebibytes(part.findtext("fb_memory_usage/total")),
                    _mebibytes(part.findtext("fb_memory_usage/free")))
    return found


def slices(listing, xml=""):
    """The host's slices.

    :param listing: of ``nvidia-smi -L``.
    :param xml: of ``nvidia-smi -q -x``; "" where there is none: then the profile's name says what a slice has.
    """
    found, card, details = [], None, _details(xml)
    for line in listing.splitlines():
        whole, part = _CARD.match(line), _SLICE.match(line)
        card = whole.group(2) if whole else card
        if part and card:
            profile, index, uuid = part.groups()
            instance, total, free = details.get((card, index), ("", None, None))
            found.append({"uuid": uuid, "card": card, "profile": profile, "memory": memory_of_profile(profile) if total is None else total,
                          "memory_free": free, "room": "%s/%s" % (card, instance) if instance else uuid})
    return found


def modes(text):
    """UUID to whether a card is split, of ``nvidia-smi --query-gpu=uuid,mig.mode.current --format=csv,noheader``; cards that cannot be are left out."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    return {row[0]: row[1] == "Enabled" for row in rows if len(row) == 2 and row[0].startswith("GPU-") and row[1] in ("Enabled", "Disabled")}
