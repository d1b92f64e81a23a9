# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of site.yml, and which of them a task belongs to."""
from __future__ import annotations

ORDER = ("preflight", "driver", "disks", "engine", "image", "networks", "models", "services", "gateway", "watch", "claims")
OF_ROLE = {"preflight": "preflight", "host_driver": "driver", "disk_layout": "disks", "container_engine": "engine", "golden_image": "image",
           "networks": "networks", "model_store": "models", "inference_service": "services", "gateway": "gateway", "vram_watch": "watch",
           "observability": "watch"}
# Entries into roles before their own place in the order.
OF_ENTRY = {("vram_watch", "hold"): "services", ("inference_service", "leave"): "networks", ("container_engine", "answer"): "image"}
OF_PLAY = {"Judge the inventory before anything changes": "preflight", "Prove the claims": "claims"}


def phase_of(play, role, entry, now):
    """The phase of a task.

    Roles look at the host before anything changes (their preflight.yml), and some have a last word after others: neither takes the run back to a phase that
    is over.

    :param play: name of the play.
    :param role: name of the role that the play names, without its collection, also where that role asks another; empty outside roles.
    :param entry: name of the file of tasks that the play takes of it, without its ending.
    :param now: the phase until now, None before the first.
    """
    if play in OF_PLAY:
        return OF_PLAY[play]
    if now is None or entry == "preflight":
        return now or "preflight"
    wanted = OF_ENTRY.get((role, entry)) or OF_ROLE.get(role, now)
    return max(now, wanted, key=ORDER.index)
