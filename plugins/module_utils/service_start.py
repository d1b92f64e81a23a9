# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service is started, made anew or left as it is, by what runs under its name. Pure functions, standard library only."""
from __future__ import annotations

import collections

# ``outdated`` (bool): its container is made anew. ``further`` (list of str): networks that its container leaves and stays. ``reset`` (bool): systemd counts
# its starts anew.
Decision = collections.namedtuple("Decision", "outdated further reset")


def decide(unit_is_new, made_by, digest, container, wanted):
    """What is to be done.

    :param unit_is_new: whether this play wrote the unit.
    :param made_by: what the present container says it was made by, "" for one from before there was such a label; None where there is no container.
    :param digest: what it is to be made by.
    :param container: as :func:`deployed.containers` has it; None where there is none.
    :param wanted: name of each network that it is to be on to its address there.
    :returns: :class:`Decision`.
    """
    networks = container["networks"] if container and container["running"] else None
    # Somebody took it off one of its own networks, or gave it another address there.
    misplaced = networks is not None and any(networks.get(name) != address for name, address in wanted.items())
    # Its unit is new, or an earlier play wrote it and was interrupted before it restarted the service.
    outdated = bool(unit_is_new or misplaced or (made_by is not None and made_by != digest))
    # A container that is made anew has none of them. systemd starts no unit that ended too often, until somebody says so.
    further = [] if outdated else [name for name in networks or {} if name not in wanted]
    return Decision(outdated, further, outdated or made_by is None)
