"""Each claim of the role networks holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import networks
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

UNIT = "protocol-omni-seal.service"
WANTED = {"digest": "5ea1", "unit": UNIT, "networks": [
    {"name": "omni-network", "subnet": "172.30.0.0/16", "bridge": "br-omni", "internal": False},
    {"name": "internal_brain", "subnet": "172.31.0.0/16", "bridge": "br-brain", "internal": True}]}
SEEN = {
    "networks": [dict(network, driver="bridge") for network in WANTED["networks"]],
    "tables": [{"family": family, "name": name, "digest": "5ea1", "flags": flags, "program": program}
               for family in ("inet", "bridge") for name, flags, program in (("bunker_seal", "owner", "python3"), ("bunker_seal_standing", "", ""))],
    "unnamed": [], "state": "active", "engine_ties": ["Requires", "After"]}


def rows(change=lambda seen: None, **wanted):
    """Claim id to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    catalogue = collection_roles.claim_catalogue("networks")
    return {name: claims.judge(name, catalogue[name], result) for name, result in networks.results(dict(WANTED, **wanted), seen).items()}


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert list(found) == list(collection_roles.claim_catalogue("networks"))
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    found = {name: (row["expected"], row["observed"]) for name, row in rows().items()}
    assert found == {
        "networks.subnets": ("omni-network 172.30.0.0/16 br-omni; internal_brain 172.31.0.0/16 br-brain",) * 2,
        "networks.internal": ("internal_brain", "internal_brain"),
        "networks.named": ("omni-network, internal_brain, and no other", "none besides"),
        "networks.sealed": ("4 tables with the rules 5ea1", "inet bunker_seal digest 5ea1, inet bunker_seal_standing digest 5ea1, "
                                                            "bridge bunker_seal digest 5ea1, bridge bunker_seal_standing digest 5ea1"),
        "networks.seal_survives": (
            "bunker_seal has an owner, bunker_seal_standing has none",
            "inet bunker_seal progname python3, inet bunker_seal owner, bridge bunker_seal progname python3, bridge bunker_seal owner; the seal is active"),
        "networks.seal_first": ("docker.service requires and follows protocol-omni-seal.service", "2 of 2")}


def gone(table):
    table.update(digest="", flags="", program="")


@pytest.mark.parametrize("claim, change, observed", [
    ("subnets", lambda seen: seen["networks"][0].update(subnet="172.29.0.0/16"), "omni-network 172.29.0.0/16 br-omni; internal_brain 172.31.0.0/16 br-brain"),
    ("subnets", lambda seen: seen["networks"][1].update(bridge=""), "omni-network 172.30.0.0/16 br-omni; internal_brain 172.31.0.0/16 "),
    ("subnets", lambda seen: seen["networks"].pop(0), "internal_brain 172.31.0.0/16 br-brain"),
    ("internal", lambda seen: seen["networks"][1].update(internal=False), "none is internal"),
    ("internal", lambda seen: seen["networks"][1].update(driver="macvlan"), "none is internal"),
    ("internal", lambda seen: seen["networks"][0].update(internal=True), "omni-network, internal_brain"),
    ("named", lambda seen: seen.update(unnamed=["old-network"]), "old-network besides. The next run of site.yml removes it"),
    ("sealed", lambda seen: seen["tables"][3].update(digest="01d"), "inet bunker_seal digest 5ea1, inet bunker_seal_standing digest 5ea1, "
                                                                    "bridge bunker_seal digest 5ea1, bridge bunker_seal_standing digest 01d"),
    ("sealed", lambda seen: gone(seen["tables"][1]), "inet bunker_seal digest 5ea1, bridge bunker_seal digest 5ea1, bridge bunker_seal_standing digest 5ea1"),
    ("seal_survives", lambda seen: seen["tables"][0].update(flags="", program=""), "bridge bunker_seal progname python3, bridge bunker_seal owner; "
                                                                                   "the seal is active"),
    ("seal_survives", lambda seen: seen["tables"][1].update(program="nft"), None),
    ("seal_survives", lambda seen: seen["tables"][3].update(flags="owner"), None),
    ("seal_survives", lambda seen: seen.update(state="failed"), None),
    ("seal_survives", lambda seen: [table.update(flags="", program="") for table in seen["tables"]] and seen.update(state=""),
     "no table has an owner; the seal is unknown"),
    ("seal_first", lambda seen: seen["engine_ties"].remove("Requires"), "1 of 2"),
    ("seal_first", lambda seen: seen.update(engine_ties=[]), "0 of 2")],
    ids=["another subnet", "no name of a bridge", "one is missing", "not internal", "not a bridge", "one more is internal", "one has left", "other rules",
         "a table is missing", "an owned table without owner", "a standing table of a program", "a standing table with an owner", "the seal has failed",
         "nobody owns any", "the engine does not require it", "no tie"])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert [name for name, row in found.items() if row["status"] == "fails"] == ["networks." + claim]
    assert observed is None or found["networks." + claim]["observed"] == observed


def test_a_host_without_any_of_it_fails_in_all_and_says_so():
    found = rows(lambda seen: seen.update(networks=[], tables=[dict(table, digest="", flags="", program="") for table in SEEN["tables"]], state="inactive",
                                          engine_ties=[]))
    assert {name[len("networks."):]: row["observed"] for name, row in found.items() if row["status"] == "fails"} == {
        "subnets": "none of them exists", "internal": "none is internal", "sealed": "none", "seal_survives": "no table has an owner; the seal is inactive",
        "seal_first": "0 of 2"}


def test_rules_that_no_table_carries_do_not_hold_where_the_tables_carry_nothing_either():
    assert rows(lambda seen: [gone(table) for table in seen["tables"]], digest="5ea1")["networks.sealed"]["status"] == "fails"


def test_an_inventory_without_networks_proves_nothing():
    found = rows(lambda seen: seen.update(networks=[]), networks=[])
    assert (found["networks.subnets"]["status"], found["networks.internal"]["status"]) == ("fails", "fails")
