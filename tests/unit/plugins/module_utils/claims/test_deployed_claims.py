"""The claim that nothing of ours is on a host that the inventory does not name holds, and fails with the names."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import deployed
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

ORACLE = {"name": "oracle", "unit": "protocol-omni-oracle.service", "files": ["oracle.json"], "container": True, "running": True}
SCRIBE = {"name": "scribe", "unit": "protocol-omni-scribe.service", "files": [], "container": True, "running": True}


def row(wanted, **seen):
    """The row of the report, as the action claim makes it."""
    (found,) = deployed.results({"services": wanted}, dict({"engine": "", "services": [ORACLE], "unnamed": []}, **seen)).items()
    assert found[0] == "services.named"
    return claims.judge(found[0], collection_roles.claim_catalogue("inference_service")[found[0]], found[1])


def test_it_holds_where_the_inventory_names_all():
    assert (row(["oracle"])["status"], row(["oracle"])["observed"]) == ("holds", "oracle")


def test_it_fails_with_name_and_remedy_of_what_is_there_besides():
    found = row(["oracle"], services=[ORACLE, SCRIBE], unnamed=[SCRIBE])
    assert found["status"] == "fails" and found["expected"] == "oracle, and no other"
    assert found["observed"] == "scribe (protocol-omni-scribe.service, its container runs) besides. The next run of site.yml stops and removes it"


def test_a_host_without_services_holds_an_inventory_without_any():
    assert (row([], services=[])["status"], row([], services=[])["observed"]) == ("holds", "none")


def test_a_service_that_is_missing_is_another_claims_matter():
    assert row(["oracle", "executor"])["status"] == "holds"


def test_an_engine_that_was_not_asked_proves_nothing():
    found = row(["oracle"], engine="no Docker engine answers at /run/docker.sock")
    assert found["status"] == "fails" and "no Docker engine answers" in found["observed"]


def test_what_is_told_without_the_engine_is_said_beside_its_silence():
    found = row(["oracle"], engine="no Docker engine answers at /run/docker.sock", unnamed=[dict(SCRIBE, container=False, running=False)])
    assert found["status"] == "fails" and "no Docker engine answers" in found["observed"]
    assert "scribe (protocol-omni-scribe.service) besides" in found["observed"]
