# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claim of the role inference_service that speaks of the whole host, judged. Pure functions.

Its sentence stands in roles/inference_service/vars/claims.yml; the module deployed_info looks.
"""
from __future__ import annotations

from .. import deployed


def results(wanted, seen):
    """The claim with what was expected and observed of it.

    :param wanted: dict of ``services``, the names that the inventory has.
    :param seen: what deployed_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    there = ", ".join(service["name"] for service in seen["services"]) or "none"
    besides = ", ".join(deployed.words(service) for service in seen["unnamed"])
    observed = ["the containers were not looked at: %s" % seen["engine"]] if seen["engine"] else []
    if besides:
        observed.append("%s besides. The next run of site.yml stops and removes %s" % (besides, "it" if len(seen["unnamed"]) == 1 else "them"))
    return {"services.named": {
        "expected": "%s, and no other" % (", ".join(wanted["services"]) or "none"),
        "observed": "; ".join(observed) or there,
        "holds": not besides and not seen["engine"]}}
