# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much VRAM each rung would leave. Pure functions; sizes are bytes, cards are named by UUID."""
from __future__ import annotations


def needs(learned, relief, experts=(), first="", shares=None):
    """What the service takes of each card at each rung.

    A rung at which it ran is known by measurement. For the others what the header predicts (model_memory.rung_relief) is taken off the nearest one
    that is known: experts of the first layers off the card that holds those, the rest off each card by its share of the layers (placement's tensor_split),
    or where none are given in proportion to what the service holds there.

    :param learned: dict of rung to dict of card to most bytes that the service held there.
    :param relief: for each rung, rung 0 first, the bytes that it frees against rung 0; None where nothing is known.
    :param experts: for each rung, how many of these are experts' (model_memory.moved_experts); () for none.
    :param first: the card with the first layers.
    :param shares: dict of card to its share of the layers, a number; a card with none of them holds experts alone, which no rung moves.
    :returns: list, for each rung a dict of card to bytes, or None.
    """
    found = []
    for rung, freed in enumerate(relief):
        references = sorted((abs(rung - other), other) for other in learned if other < len(relief) and relief[other] is not None)
        if rung in learned:
            found.append(dict(learned[rung]))
        elif freed is None or not references:
            found.append(None)
        else:
            other = references[0][1]
            reference = learned[other]
            moved = experts[rung] - experts[other] if experts and first in reference else 0
            less, weights = freed - relief[other] - moved, shares or reference
            total = sum(weights.get(card, 0) for card in reference)
            found.append({card: size - (int(less * weights.get(card, 0) // total) if total else 0) - (moved if card == first else 0)
                          for card, size in reference.items()})
    return found


def headrooms(free, held, wanted):
    """The headroom that each rung would leave, on the card with least.

    :param free: dict of card to free bytes now.
    :param held: dict of card to bytes that the service holds now; {} while it is dead.
    :param wanted: list of :func:`needs`.
    :returns: tuple, for each rung bytes or None.
    """
    if not free:
        return (None,) * len(wanted)
    return tuple(None if need is None else min(size + held.get(card, 0) - need.get(card, 0) for card, size in free.items()) for need in wanted)


def barred(ladder, ram_needs, rung, available, reserve):
    """Rungs that cannot be taken, whatever they free.

    :param ladder: the resolved service's ladder.
    :param ram_needs: for each rung, bytes of RAM that it takes besides (model_memory.ram_need).
    :param rung: the present one, whose bytes are taken already.
    :param available: MemAvailable of the host.
    :param reserve: bytes of it that must remain.
    :returns: tuple of (rung, why).
    """
    found = []
    for number, entry in enumerate(ladder):
        more = ram_needs[number] - ram_needs[rung]
        if entry["arguments"] is None:
            found.append((number, "the model has no layers of experts on a GPU"))
        elif more > 0 and available - more < reserve:
            found.append((number, "it wants %.1f GB of RAM and %.1f are available" % (more / 1e9, available / 1e9)))
    return tuple(found)
