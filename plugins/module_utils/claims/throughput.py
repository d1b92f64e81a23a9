# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role throughput, judged. Pure functions.

Their sentences stand in roles/throughput/vars/claims.yml; the module throughput_info looks.
"""
from __future__ import annotations


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``tolerance`` (percent of the memory's bandwidth, which was measured by copying).
    :param seen: what throughput_info returned, with what it says of containers.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    return {"throughput.roofline": _roofline(wanted["tolerance"], seen["measured"]), "throughput.clean": _clean(seen)}


def _roofline(tolerance, measured):
    rooflines = {name: service["roofline"] for name, service in (measured.get("services") or {}).items()}
    percents = {name: roofline["percent"] for name, roofline in rooflines.items() if roofline.get("percent")}
    if not percents:
        reasons = "; ".join(dict.fromkeys(roofline.get("reason") or "no reason was noted" for roofline in rooflines.values()))
        return {"does_not_apply": reasons or "nothing was measured on this host (playbooks/bench.yml)"}
    return {"expected": "at most %s %% of %s GB/s" % (tolerance, round((measured.get("bandwidth") or 0) / 1e9, 1)),
            "observed": ", ".join("%s %s %%" % (name, round(percent, 1)) for name, percent in percents.items()),
            "holds": all(percent <= tolerance for percent in percents.values())}


def _clean(seen):
    observed = "not seen: %s" % seen["engine"] if seen["engine"] else " ".join(seen["containers"]) or "none"
    return {"expected": "none, or a measurement that is being made",
            "observed": observed + (", a measurement is being made" if seen["measuring"] else ""),
            "holds": not seen["engine"] and (not seen["containers"] or seen["measuring"])}
