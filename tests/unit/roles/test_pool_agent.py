"""What a member of a pool tells the doors."""
import importlib.util

import pytest
from support import ROOT

SPEC = importlib.util.spec_from_file_location("pool_agent", ROOT / "roles/pool/files/agent.py")
agent = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(agent)

# As roles/gateway/files/metrics.lua shows them.
METRICS = """# TYPE bunker_gateway_draining gauge
bunker_gateway_draining{service="executor"} 0
bunker_gateway_draining{service="oracle"} %d
bunker_gateway_in_flight{service="oracle"} 3
bunker_gateway_service_up{service="executor"} 1
bunker_gateway_service_up{service="oracle"} %d
"""


@pytest.mark.parametrize("question, draining, up, told", [
    ("oracle", 0, 1, "ready up"), ("oracle", 0, 0, "down"), ("oracle", 1, 1, "drain"),
    ("oracle", 1, 0, "drain"),  # a rung is being taken: whoever still has an answer running keeps it
    ("executor", 1, 0, "ready up"), ("any", 1, 0, "ready up"), ("gpt-4o", 0, 0, "ready up")])
def test_a_model_is_told_as_the_gateway_sees_it(question, draining, up, told):
    assert agent.answer(question, METRICS % (draining, up), False) == told


def test_a_gateway_that_does_not_answer_is_down():
    assert agent.answer("oracle", "", False) == "down"


def test_a_host_that_is_held_back_gets_nobody_new():
    assert agent.answer("oracle", METRICS % (0, 1), True) == agent.answer("any", "", True) == "drain"
