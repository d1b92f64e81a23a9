# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role networks, judged. Pure functions.

Their sentences stand in roles/networks/vars/claims.yml; the module networks_info looks.
"""
from __future__ import annotations

from ..seal_rules import OWNED, STANDING


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``networks`` (networks_definitions), ``digest`` (of the rules that the inventory asks for), ``unit`` (the seal's).
    :param seen: what networks_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    return dict(_of_networks(wanted["networks"], seen["networks"]), **_of_record(wanted["networks"], seen["unnamed"]), **_of_seal(wanted, seen))


def _of_networks(wanted, found):
    expected, observed = (["%(name)s %(subnet)s %(bridge)s" % network for network in networks] for networks in (wanted, found))
    internal = [network["name"] for network in wanted if network["internal"]]
    found_internal = [network["name"] for network in found if network["internal"] and network["driver"] == "bridge"]
    return {
        "networks.subnets": {"expected": "; ".join(expected) or "networks", "observed": "; ".join(observed) or "none of them exists",
                             "holds": expected == observed and bool(expected)},
        "networks.internal": {"expected": ", ".join(internal) or "an internal network", "observed": ", ".join(found_internal) or "none is internal",
                              "holds": internal == found_internal and bool(internal)},
    }


def _of_record(wanted, unnamed):
    return {"networks.named": {
        "expected": "%s, and no other" % (", ".join(network["name"] for network in wanted) or "none"),
        "observed": "%s besides. The next run of site.yml removes %s" % (", ".join(unnamed), "it" if len(unnamed) == 1 else "them") if unnamed
        else "none besides", "holds": not unnamed}}


def _of_seal(wanted, seen):
    tables = [dict(table, called="%(family)s %(name)s" % table, owned=table["flags"].startswith("owner")) for table in seen["tables"]]
    digests = ["%(called)s digest %(digest)s" % table for table in tables if table["digest"]]
    owners = []
    for table in tables:
        owners += ["%(called)s progname %(program)s" % table] if table["program"] else []
        owners += ["%(called)s %(flags)s" % table] if table["owned"] else []
    return {
        "networks.sealed": {
            "expected": "4 tables with the rules %s" % wanted["digest"], "observed": ", ".join(digests) or "none",
            "holds": [table["digest"] for table in tables] == [wanted["digest"]] * 4},
        "networks.seal_survives": {
            "expected": "%s has an owner, %s has none" % (OWNED, STANDING),
            "observed": "%s; the seal is %s" % (", ".join(owners) or "no table has an owner", seen["state"] or "unknown"),
            "holds": [table["family"] for table in tables if table["name"] == OWNED and table["owned"]] == ["inet", "bridge"]
            and not any(table["owned"] or table["program"] for table in tables if table["name"] == STANDING) and seen["state"] == "active"},
        "networks.seal_first": {
            "expected": "docker.service requires and follows %s" % wanted["unit"], "observed": "%d of 2" % len(seen["engine_ties"]),
            "holds": sorted(seen["engine_ties"]) == ["After", "Requires"]},
    }
