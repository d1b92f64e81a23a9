"""What a key may ask, and what requests get: what is sound, and what is refused by name."""
import datetime

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gateway_routes, gateway_rules


def inventory(key=(), services=("oracle", "executor"), **variables):
    return {"bunker_services": [{"name": name} for name in services],
            "gateway_providers": [{"name": "kimi", "enabled": True}, {"name": "glm", "enabled": False}],
            "gateway_keys": [{"name": "alice", "sha256": "0" * 64, **dict(key)}], **variables}


def parameters(*entries):
    return inventory(gateway_parameters=[{"model": "oracle", **entry} for entry in entries])


@pytest.mark.parametrize("given, value, remedy", [
    (inventory({"models": ["oracel"]}), "gateway_keys: alice: models: oracel", "Did you mean oracle?"),
    (inventory({"models": ["glm"]}), "gateway_keys: alice: models: glm", "Known: oracle, executor, kimi"),
    (inventory({"tokens_per_day": -1}), "gateway_keys: alice: tokens_per_day -1", "1000000"),
    (inventory({"name": "operator", "tokens_per_day": 5}), "gateway_keys: operator: limits", "another name"),
    (inventory({"aliases": {"oracle": "executor"}}), "gateway_keys: alice: aliases: oracle: executor", "Remove it"),
    (inventory({"aliases": {"kimi": "oracle"}}), "gateway_keys: alice: aliases: kimi: oracle", "Remove it"),
    (inventory({"aliases": {"gpt-4o": "kimi"}}), "gateway_keys: alice: aliases: gpt-4o: kimi", "Known: oracle, executor"),
    (inventory({"aliases": {"gpt 4": "oracle"}}), "gateway_keys: alice: aliases: gpt 4: oracle", "Rename"),
    (inventory({"aliases": {4: "oracle"}}), "gateway_keys: alice: aliases: 4: oracle", "quote"),
    (inventory({"aliases": {"gpt-4o": "oracle"}, "models": ["executor"]}), "gateway_keys: alice: aliases: gpt-4o: oracle", "Add oracle"),
    (parameters({"model": "oracel"}), "gateway_parameters: oracel", "Did you mean oracle?"),
    (parameters({"set": {"top_k": 1}}, {"strip": ["n"]}), "gateway_parameters: oracle twice", "together"),
    (parameters({"set": {"top_k": 1}, "strip": ["top_k"]}), "gateway_parameters: oracle: top_k", "one of them"),
    (parameters({"set": {"top_k": 1}, "defaults": {"top_k": 2}}), "gateway_parameters: oracle: top_k", "one of them"),
    (parameters({"set": {"model": "executor"}}), "gateway_parameters: oracle: set: model", "Remove"),
    (parameters({"strip": ["messages"]}), "gateway_parameters: oracle: strip: messages", "Remove"),
    (parameters({"defaults": {"stream": True}}), "gateway_parameters: oracle: defaults: stream", "Remove"),
    (parameters({"set": {"seed": float("nan")}}), "gateway_parameters: oracle: set: seed", "quote dates"),
    (parameters({"set": {"seed": datetime.date(2026, 1, 1)}}), "gateway_parameters: oracle: set: seed", "quote dates"),
    (parameters({"set": {4: 1}}), "gateway_parameters: oracle: set: 4", "quote dates"),
    (inventory(gateway_failsafes={"oracle": "kim"}), "gateway_failsafes: oracle: kim", "Did you mean kimi?"),
    (inventory(gateway_failsafes={"oracle": "executor"}), "gateway_failsafes: oracle: executor", "gateway_fallbacks"),
    (inventory(gateway_failsafes={"oracle": "glm"}), "gateway_failsafes: oracle: glm", "enabled: true"),
    (inventory(gateway_failsafes={"oracel": "kimi"}), "gateway_failsafes: oracel: kimi", "Did you mean oracle?"),
    (inventory(gateway_failsafes={"kimi": "kimi"}), "gateway_failsafes: kimi: kimi", "Known: oracle, executor"),
    (inventory(gateway_failsafes={"oracle": ["kimi"]}), "gateway_failsafes: oracle: ['kimi']", "Did you mean kimi?"),
])
def test_one_fault_is_one_problem(given, value, remedy):
    (problem,) = gateway_rules.check(given)
    assert problem.value == value and remedy in problem.remedy and problem.rule


@pytest.mark.parametrize("given", [
    inventory(), inventory({"models": ["oracle", "kimi"], "tokens_per_day": 1, "aliases": {"gpt-4o": "oracle"}}), inventory({"name": "operator"}),
    inventory({"models": ["oracle"], "aliases": {"gpt-4o": "oracle"}}, services=()),
    inventory({}, services=(), gateway_parameters=[{"model": "oracle", "set": {"top_k": 1}}]),
    parameters({"set": {"top_k": 1}, "defaults": {"stop": [], "temperature": 0.6, "chat_template_kwargs": {"enable_thinking": False}}, "strip": ["n"]}),
    inventory(gateway_failsafes={"oracle": "kimi", "executor": "kimi"}), inventory(services=(), gateway_failsafes={"oracle": "kimi"}),
    parameters({"model": "kimi", "strip": ["cache_prompt"]})])
def test_what_is_sound_is_sound(given):
    assert gateway_rules.check(given) == []


def test_parameters_reach_the_gateway_as_json():
    """A JSON library of Lua takes [] for {} and rounds long numbers, so values travel as text."""
    found = gateway_routes.parameters([{"model": "oracle", "set": {"stop": [], "seed": 12345678901234567, "user": "ä\""}}, {"model": "kimi", "strip": ["n"]}])
    assert found == {"oracle": {"set": {"stop": "[]", "seed": "12345678901234567", "user": '"\\u00e4\\""'}, "defaults": {}, "strip": []},
                     "kimi": {"set": {}, "defaults": {}, "strip": ["n"]}}
