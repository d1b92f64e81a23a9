"""A container that another definition made, or that is on other networks than the inventory gives it, is put right by the next run."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_start

WANTED = {"omni-network": "172.30.0.10", "internal_brain": "172.31.0.10"}


def decided(networks=None, unit_is_new=False, made_by="same", running=True):
    """Of a container that is on these networks; None for no container."""
    container = {"name": "oracle", "ours": True, "running": running, "networks": WANTED if networks is None else networks}
    return service_start.decide(unit_is_new, made_by, "same", None if made_by is None else container, WANTED)


@pytest.mark.parametrize("unit_is_new, made_by, outdated, reset", [
    (False, "same", False, False), (True, "same", True, True), (False, "before", True, True), (False, "", True, True), (False, None, False, True)],
    ids=["it runs as it should", "a new unit", "a new unit of an earlier play", "made before there was a label", "it does not run"])
def test_a_container_that_another_definition_made_is_replaced(unit_is_new, made_by, outdated, reset):
    assert decided(unit_is_new=unit_is_new, made_by=made_by) == (outdated, [], reset)


@pytest.mark.parametrize("networks, anew, left", [
    (WANTED, False, []), (dict(WANTED, bridge="172.17.0.3"), False, ["bridge"]), ({"omni-network": "172.30.0.10"}, True, []),
    (dict(WANTED, internal_brain="172.31.0.99"), True, []), ({}, True, []), ({"omni-network": "172.30.0.10", "bridge": "172.17.0.3"}, True, [])],
    ids=["as it should be", "one more", "one is missing", "another address", "none", "one is missing and one more"])
def test_a_further_network_is_left_and_a_missing_one_makes_it_anew(networks, anew, left):
    assert decided(networks)[:2] == (anew, left)


def test_a_container_that_does_not_run_is_started_as_it_is_written():
    assert decided({}, running=False)[:2] == (False, [])
