# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who judges which role's claims. Runs on the controller only."""
from __future__ import annotations

from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import (
    container_engine, deployed, disk_layout, gateway, golden_image, host_driver, inference_service, model_store, networks, observability, pool,
    throughput, vram_watch)

JUDGES = {judge.__name__.rpartition(".")[2]: judge.results
          for judge in (container_engine, deployed, disk_layout, gateway, golden_image, host_driver, inference_service, model_store, networks, observability,
                        pool, throughput, vram_watch)}


def observations(wanted, judge, seen):
    """The observations of claims.

    :param wanted: what the inventory wants, as the judge's function has it.
    :param judge: a file of plugins/module_utils/claims.
    :param seen: what the module that looks returned.
    :returns: claim id to observation.
    :raises ValueError: there is no such judge.
    """
    if judge not in JUDGES:
        raise ValueError("The claims of %s are not judged here. Known: %s. See plugins/module_utils/claims." % (judge, ", ".join(JUDGES)))
    return JUDGES[judge](wanted, seen)
