"""What verify.yml of a role hands on, rendered as a play would: the whole way from the inventory and what a module saw to the claims."""
import pytest
import rendering
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

DEMO = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))


def networks(change=None):
    """Claim id to whether it holds, of the role's own networks, with rules that its own filter made."""
    variables = {"bunker_services": DEMO["bunker_services"], "bunker_config_path": "/etc/protocol_omni"}
    resolve = rendering.task("networks", "tasks/resolve.yml", "Resolve the rules")["ansible.builtin.set_fact"]
    variables["_networks_rules"] = rendering.render("networks", resolve["_networks_rules"], variables)
    looked = rendering.render("networks", rendering.task("networks", "tasks/verify.yml", "Look at the networks and the seal")
                              ["protocol_omni.bunker.networks_info"], variables)
    seen = {
        "networks": [{"name": name, "driver": "bridge", "internal": internal, "subnet": subnet, "bridge": bridge} for name, subnet, bridge, internal in (
            ("omni-network", "172.30.0.0/16", "br-omni", False), ("internal_brain", "172.31.0.0/16", "br-brain", True)) if name in looked["names"]],
        "tables": [{"family": family, "name": name, "digest": variables["_networks_rules"]["digest"], "flags": flags, "program": ""}
                   for family in ("inet", "bridge") for name, flags in (("bunker_seal", "owner"), ("bunker_seal_standing", ""))],
        "state": "active" if looked["unit"] == "protocol-omni-seal.service" else "unknown", "engine_ties": ["Requires", "After"]}
    seen.update(change or {})
    record = rendering.task("networks", "tasks/verify.yml", "Record the claims of the networks")
    results = rendering.render("networks", record["protocol_omni.bunker.claim"]["results"], dict(variables, __networks_seen=seen), record["vars"])
    assert list(results) == list(collection_roles.claim_catalogue("networks"))
    return {name[len("networks."):]: row["holds"] for name, row in results.items()}


def test_the_claims_of_the_networks_hold_of_what_the_role_makes():
    assert set(networks().values()) == {True}


@pytest.mark.parametrize("change, failing", [({"networks": []}, ["subnets", "internal"]), ({"tables": []}, ["sealed", "seal_survives"]),
                                             ({"state": "failed"}, ["seal_survives"]), ({"engine_ties": ["After"]}, ["seal_first"])])
def test_the_claims_of_the_networks_fail_of_anything_else(change, failing):
    assert [name for name, holds in networks(change).items() if not holds] == failing
