"""Which services of ours a host has, and which of them the inventory does not name, by what units, files and the engine tell."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import deployed

LABEL = "protocol_omni.bunker.definition"
UNIT = "[Service]\nExecStart=/usr/bin/docker run \\\n  --label protocol_omni.bunker.definition=0123abcd \\\n  --name oracle\n"
# As Docker 29 answers /containers/json?all=1, shortened.
ORACLE = {"Names": ["/oracle"], "State": "running", "Labels": {LABEL: "0123abcd"},
          "NetworkSettings": {"Networks": {"omni-network": {"IPAddress": "172.30.0.10"}, "internal_brain": {"IPAddress": "172.31.0.10"}}}}
STRANGER = {"Names": ["/hand-made"], "State": "running", "Labels": {"com.example": "x"},
            "NetworkSettings": {"Networks": {"omni-network": {"IPAddress": "172.30.0.77"}}}}
ENDED = {"Names": ["/bench"], "State": "exited", "Labels": None, "NetworkSettings": {"Networks": {"omni-network": {"IPAddress": ""}}}}


def test_a_container_is_told_by_its_label_and_with_its_addresses():
    assert deployed.containers([ORACLE, STRANGER, ENDED], LABEL) == [
        {"name": "oracle", "ours": True, "running": True, "networks": {"omni-network": "172.30.0.10", "internal_brain": "172.31.0.10"}},
        {"name": "hand-made", "ours": False, "running": True, "networks": {"omni-network": "172.30.0.77"}},
        {"name": "bench", "ours": False, "running": False, "networks": {"omni-network": ""}}]


def test_a_service_is_there_by_its_unit_its_files_or_its_container():
    found = deployed.services(
        {"protocol-omni-oracle.service": UNIT, "protocol-omni-seal.service": "ExecStart=/usr/bin/python3 seal.py hold", "other.service": UNIT},
        ["executor.json", "executor.proven", "oracle.json", "oracle.placement.json", "notes.txt"],
        deployed.containers([dict(ORACLE, Names=["/scribe"]), STRANGER], LABEL), LABEL)
    assert found == [
        {"name": "executor", "unit": "", "files": ["executor.json", "executor.proven"], "container": False, "running": False},
        {"name": "oracle", "unit": "protocol-omni-oracle.service", "files": ["oracle.json"], "container": False, "running": False},
        {"name": "scribe", "unit": "", "files": [], "container": True, "running": True}]


@pytest.mark.parametrize("file", [
    "oracle.bak.json", "oracle (copy).json", "Oracle.json", "oracle_old.proven", ".json", "2024-06.json", ".oracle.json", "oracle.json~"])
def test_a_copy_that_somebody_made_of_a_file_is_no_service(file):
    assert deployed.services({}, [file], [], LABEL) == []


def test_a_placement_that_a_service_left_is_no_service():
    assert deployed.services({}, ["oracle.placement.json"], [], LABEL) == []


@pytest.mark.parametrize("named, unnamed", [(["oracle", "executor"], []), (["oracle"], ["executor"]), ([], ["executor", "oracle"]), (["executer"], [
    "executor", "oracle"])], ids=["both", "one has left", "all have left", "renamed"])
def test_what_the_inventory_does_not_name_is_told(named, unnamed):
    there = deployed.services({}, ["oracle.json", "executor.json"], [], LABEL)
    assert [service["name"] for service in deployed.unnamed(there, named)] == unnamed


@pytest.mark.parametrize("units, files, container, taken", [
    ({}, [], dict(STRANGER, Names=["/oracle"]), ["oracle"]), ({}, [], dict(ENDED, Names=["/oracle"]), ["oracle"]), ({}, [], STRANGER, []), ({}, [], ORACLE, []),
    ({"protocol-omni-oracle.service": UNIT}, [], dict(STRANGER, Names=["/oracle"]), []), ({}, ["oracle.json"], dict(ENDED, Names=["/oracle"]), [])],
    ids=["runs", "ended", "another name", "ours", "our unit is there", "of before the label"])
def test_a_container_of_others_that_has_the_name_of_a_service_to_come_is_told(units, files, container, taken):
    found = deployed.containers([container], LABEL)
    assert deployed.taken(deployed.services(units, files, found, LABEL), found, ["oracle", "executor"]) == taken


@pytest.mark.parametrize("names, name", [
    (["/shop/oracle", "/oracle"], "oracle"), (["/oracle", "/shop/oracle"], "oracle"), ([], "0123456789ab"), (None, "0123456789ab")],
    ids=["a link first", "a link last", "it is being removed", "no names"])
def test_a_container_has_its_own_name_and_not_that_of_a_link_to_it(names, name):
    (found,) = deployed.containers([dict(ORACLE, Names=names, Id="0123456789abcdef")], LABEL)
    assert found["name"] == name


def test_how_a_service_is_there_is_said_in_words():
    assert deployed.words({"name": "scribe", "unit": "protocol-omni-scribe.service", "files": ["scribe.json"], "container": True, "running": True}) == (
        "scribe (protocol-omni-scribe.service, its container runs, scribe.json)")
    assert deployed.words({"name": "scribe", "unit": "", "files": [], "container": True, "running": False}) == "scribe (its container, which does not run)"
