"""What an inventory may say of a pool: what is sound, and what is refused by name."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import pool_rules

HOSTS = ["north", "south", "east"]
SOUND = {
    "pool_enabled": True, "pool_address": "10.0.0.100", "pool_interface": "eth0", "pool_port": 8543, "pool_member_port": 8544, "pool_agent_port": 8545,
    "pool_check_interval": 1000, "pool_queue": 64, "pool_queue_wait": 30, "pool_router_id": 71, "pool_certificate_days": 90, "pool_drain": 120,
    "pool_doors": [{"name": "north", "address": "10.0.0.1"}, {"name": "east", "address": "10.0.0.3"}],
    "pool_members": [{"name": "north", "address": "10.0.0.1", "models": ["oracle", "gpt-4o"], "weight": 100, "streams": 64},
                     {"name": "south", "address": "10.0.0.2", "models": ["kimi"], "weight": 1, "streams": 1}],
    "bunker_services": [{"name": "oracle"}], "gateway_aliases": {"gpt-4o": "oracle"},
    "gateway_providers": [{"name": "kimi", "enabled": True}, {"name": "glm", "enabled": False}],
    "gateway_port": 8080, "gateway_metrics_port": 9180, "observability_prometheus_port": 9090, "observability_node_exporter_port": 9100}


def changed(path, value):
    """The sound inventory with one value changed, by its path."""
    found = copy.deepcopy(SOUND)
    *way, last = path
    place = found
    for step in way:
        place = place[step]
    place[last] = value
    return found


@pytest.mark.parametrize("host", ["north", "east"])
def test_a_sound_pool_is_taken(host):
    assert pool_rules.check(SOUND, host, HOSTS) == []


def test_a_pool_of_one_door_may_be_at_its_own_address():
    one = dict(SOUND, pool_doors=SOUND["pool_doors"][:1], pool_address="10.0.0.1", pool_interface="")
    assert pool_rules.check(one, "north", HOSTS) == []


def test_where_the_pool_is_off_nothing_of_it_is_judged():
    assert pool_rules.check({"pool_enabled": False}, "north", HOSTS) == []


@pytest.mark.parametrize("path, value, told, remedy", [
    (["pool_doors", 0, "name"], "nort", "pool_doors: nort", "Did you mean north?"),
    (["pool_doors", 1, "address"], "10.0.0", "pool_doors: east: address 10.0.0", "ip -brief address"),
    (["pool_doors", 1, "address"], "0.0.0.0", "pool_doors: east: address 0.0.0.0", "ip -brief address"),
    (["pool_doors", 0, "address"], "10.0.0.9", "pool_doors: north: address 10.0.0.9", "same address"),
    (["pool_members", 1, "address"], "10.0.0.1", "pool_members: address 10.0.0.1 twice", "remove"),
    (["pool_members", 1, "name"], "so_uth", "pool_members: so_uth", "Rename"),
    (["pool_members", 1, "models"], [], "pool_members: south: models []", "Name services"),
    (["pool_members", 1, "models"], ["a b"], "pool_members: south: models: a b", "Correct"),
    (["pool_members", 1, "models"], ["a\nserver x"], "pool_members: south: models: a\nserver x", "Correct"),
    (["pool_members", 1, "models"], ["a", "a"], "pool_members: south: models: a twice", "Remove one"),
    (["pool_members", 0, "models"], ["oracel"], "pool_members: north: models: oracel", "Did you mean oracle?"),
    (["pool_members", 0, "models"], ["glm"], "pool_members: north: models: glm", "Known: oracle, kimi, gpt-4o"),
    (["pool_members", 0, "weight"], 257, "pool_members: north: weight 257", "64"),
    (["pool_members", 0, "streams"], 0, "pool_members: north: streams 0", "64"),
    (["pool_members"], [], "pool_members: []", "models: [oracle]"),
    (["pool_address"], "", "pool_address ''", "10.0.0.100"),
    (["pool_address"], "10.0.0.2", "pool_address 10.0.0.2", "no host has"),
    (["pool_interface"], "", "pool_interface ''", "ip -brief link"),
    (["pool_router_id"], 256, "pool_router_id 256", "71"),
    (["pool_check_interval"], 0, "pool_check_interval 0", "1000"),
    (["pool_agent_port"], 8544, "pool_member_port and pool_agent_port 8544", "another"),
    (["pool_member_port"], 8080, "pool_member_port 8080", "another"),
    (["pool_port"], 70000, "pool_port 70000", "another"),
])
def test_one_fault_is_one_problem(path, value, told, remedy):
    (problem,) = pool_rules.check(changed(path, value), "north", HOSTS)
    assert problem.value == told and remedy in problem.remedy and problem.rule


def test_one_host_named_twice_is_refused():
    twice = changed(["pool_members", 1], SOUND["pool_members"][0])
    assert [problem.value for problem in pool_rules.check(twice, "north", HOSTS)] == ["pool_members: name north twice", "pool_members: address 10.0.0.1 twice"]


def test_a_third_door_is_refused():
    three = changed(["pool_doors"], SOUND["pool_doors"] + [{"name": "south", "address": "10.0.0.2"}])
    assert [problem.value for problem in pool_rules.check(three, "north", HOSTS)] == ["pool_doors: 3"]


def test_a_host_that_nobody_named_is_refused():
    (problem,) = pool_rules.check(SOUND, "west", HOSTS + ["west"])
    assert problem.value == "pool_enabled true of west" and "pool_enabled: false" in problem.remedy


# --- what several hosts say of one pool

def differences(others, host="north", inventory=None):
    return [(problem.value, problem.remedy) for problem in pool_rules.check(inventory or SOUND, host, HOSTS, others)]


def test_hosts_that_say_the_same_in_another_order_are_one_pool():
    other = changed(["pool_members"], copy.deepcopy(SOUND["pool_members"][::-1]))
    other["pool_members"][1]["models"] = ["gpt-4o", "oracle"]
    assert differences({"south": other, "east": SOUND, "north": SOUND}) == differences({}) == []


@pytest.mark.parametrize("path, value, told", [
    (["pool_members", 1, "models"], ["glm"],
     "pool_members of north north at 10.0.0.1 (oracle, gpt-4o; weight 100, streams 64), south at 10.0.0.2 (kimi; weight 1, streams 1), of east north at"),
    (["pool_members", 1, "weight"], 2, "pool_members of north"), (["pool_address"], "10.0.0.101", "pool_address of north 10.0.0.100, of east 10.0.0.101"),
    (["pool_doors"], SOUND["pool_doors"][::-1], "pool_doors of north north at 10.0.0.1, east at 10.0.0.3, of east east at 10.0.0.3, north at 10.0.0.1"),
    (["pool_doors"], SOUND["pool_doors"][:1], "pool_doors of north"), (["pool_member_port"], 9000, "pool_member_port of north 8544, of east 9000"),
    (["pool_agent_port"], 9000, "pool_agent_port of north 8545"), (["pool_port"], 443, "pool_port of north 8543"),
    (["pool_router_id"], 72, "pool_router_id of north 71, of east 72")])
def test_two_hosts_whose_pools_differ_are_told(path, value, told):
    ((said, remedy),) = differences({"east": changed(path, value)})
    assert said.startswith(told) and "group_vars" in remedy


def test_what_need_not_be_the_same_may_differ():
    assert differences({"south": changed(["pool_router_id"], 72)}) == []  # a member knows nothing of VRRP
    assert differences({"east": changed(["pool_interface"], "eno1")}) == differences({"south": changed(["pool_queue"], 1)}) == []


def test_a_host_of_no_pool_or_of_another_one_has_no_say():
    assert differences({"south": changed(["pool_enabled"], False), "elsewhere": changed(["pool_address"], "10.9.9.9")}) == []
