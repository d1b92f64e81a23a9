"""Who does what in a pool."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import plan

POOL = {"address": "10.0.0.100", "port": 8543, "member_port": 8544, "agent_port": 8545,
        "doors": [{"name": "north", "address": "10.0.0.1"}, {"name": "east", "address": "fd00::3"}],
        "members": [{"name": "north", "address": "10.0.0.1", "models": ["oracle", "a/b"], "weight": 100, "streams": 64},
                    {"name": "south", "address": "10.0.0.2", "models": ["oracle", "a:b", "a_b"], "weight": 50, "streams": 8}]}
GATEWAY = {"address": "0.0.0.0", "port": 8443, "tls": "self_signed"}


def test_a_door_has_a_backend_a_model_with_the_members_that_answer_for_it():
    backends = plan.door(POOL, "north")["backends"]
    assert [(one["model"], [server["name"] for server in one["servers"]]) for one in backends] == [
        ("a/b", ["north"]), ("a:b", ["south"]), ("a_b", ["south"]), ("oracle", ["north", "south"]), ("", ["north", "south"])]
    assert backends[3]["servers"][1] == {"name": "south", "endpoint": "10.0.0.2:8544", "weight": 50, "maxconn": 8, "agent_address": "10.0.0.2",
                                         "agent_port": 8545, "agent_question": "oracle"}
    assert backends[4]["servers"][0]["agent_question"] == "any"


def test_no_two_models_share_a_backend():
    names = [one["name"] for one in plan.door(POOL, "north")["backends"]]
    assert names == ["model_a_b", "model_a:b", "model_a_b_3", "model_oracle", "any"]


def test_the_first_of_two_doors_is_preferred_and_each_knows_the_other():
    assert plan.door(POOL, "north")["vrrp"] == {"priority": 150, "peers": ["fd00::3"]}
    assert plan.door(POOL, "east")["vrrp"] == {"priority": 100, "peers": ["10.0.0.1"]}
    assert (plan.door(POOL, "east")["own"], plan.door(POOL, "east")["listen"]) == (
        "fd00::3", ["10.0.0.100:8543", "[fd00::3]:8543"])
    assert plan.door(POOL, "south") is None


def test_a_single_door_has_its_address_for_itself():
    door = plan.door(dict(POOL, doors=POOL["doors"][:1], address="10.0.0.1"), "north")
    assert door["listen"] == ["10.0.0.1:8543"]
    assert (door["vrrp"], door["floats"]) == (None, False) and plan.door(POOL, "north")["floats"]


def test_a_member_leads_to_its_own_gateway():
    assert plan.member(POOL, "south", GATEWAY) == {
        "listen": "10.0.0.2:8544", "gateway": "127.0.0.1:8443", "gateway_tls": True,
        "agent": {"address": "10.0.0.2", "port": 8545, "doors": ["10.0.0.1", "fd00::3"]}}
    assert plan.member(POOL, "south", dict(GATEWAY, address="fd00::2", tls="none"))["gateway"] == "[fd00::2]:8443"
    assert plan.member(POOL, "east", GATEWAY) is None


def test_only_a_door_may_ask():
    assert plan.certificate_uses(POOL, "south") == ["serverAuth"]
    assert plan.certificate_uses(POOL, "east") == ["serverAuth", "clientAuth"]


def test_a_certificate_has_the_names_by_which_its_host_is_asked():
    assert plan.certificate_names(POOL, "south") == ["DNS:south", "IP:10.0.0.2"]
    assert plan.certificate_names(POOL, "north") == ["DNS:north", "IP:10.0.0.1", "IP:10.0.0.100"]


def test_the_first_door_signs():
    assert plan.plan(POOL, "south", GATEWAY)["authority"] == "north"
