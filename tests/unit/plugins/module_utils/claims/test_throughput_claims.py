"""Each claim of the role throughput holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import throughput
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

CATALOGUE = collection_roles.claim_catalogue("throughput")
SEEN = {"containers": [], "engine": "", "measuring": False, "measured": {"bandwidth": 204.84e9, "services": {
    "oracle": {"roofline": {"percent": 61.26, "reason": ""}}, "executor": {"roofline": {"percent": None, "reason": "its model is in a cache"}}}}}


def rows(change=lambda seen: None):
    """Claim, without its role, to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name[len("throughput."):]: claims.judge(name, CATALOGUE[name], result) for name, result in throughput.results({"tolerance": 115}, seen).items()}


def percent(value):
    return lambda seen: seen["measured"]["services"]["oracle"]["roofline"].update(percent=value)


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert ["throughput." + name for name in found] == list(CATALOGUE)
    assert {name: (row["status"], row["expected"], row["observed"]) for name, row in found.items()} == {
        "roofline": ("holds", "at most 115 % of 204.8 GB/s", "oracle 61.3 %"), "clean": ("holds", "none, or a measurement that is being made", "none")}


@pytest.mark.parametrize("claim, change, observed", [
    ("roofline", percent(115.1), "oracle 115.1 %"),
    ("roofline", lambda seen: seen["measured"]["services"]["executor"]["roofline"].update(percent=200), "oracle 61.3 %, executor 200 %"),
    ("clean", lambda seen: seen.update(containers=["bunker-bench-oracle"]), "bunker-bench-oracle"),
    ("clean", lambda seen: seen.update(engine="no Docker engine answers"), "not seen: no Docker engine answers")])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert [name for name, row in found.items() if row["status"] == "fails"] == [claim] and found[claim]["observed"] == observed


@pytest.mark.parametrize("change", [percent(115), lambda seen: seen.update(containers=["a", "b"], measuring=True)])
def test_what_is_just_allowed_holds(change):
    assert {row["status"] for row in rows(change).values()} == {"holds"}


@pytest.mark.parametrize("change, reason", [
    (percent(None), "its model is in a cache"), (lambda seen: seen.update(measured={}), "nothing was measured on this host (playbooks/bench.yml)")])
def test_why_no_roofline_is_claimed(change, reason):
    def without_reason(seen):
        change(seen)
        for service in seen["measured"].get("services", {}).values():
            service["roofline"]["reason"] = "its model is in a cache"
    assert (rows(without_reason)["roofline"]["status"], rows(without_reason)["roofline"]["reason"]) == ("does not apply", reason)
