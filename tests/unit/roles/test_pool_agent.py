"""What a member of a pool tells the doors."""
import gc
import importlib.util
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

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


class _Gateway(BaseHTTPRequestHandler):
    """A stand-in for a gateway's metrics."""

    def do_GET(self):
        self.send_response(200 if self.path == "/metrics" else 500)
        self.end_headers()
        self.wfile.write(b"said 1\n")

    def log_message(self, *_words):  # pylint: disable=arguments-differ # nobody reads it
        pass


@pytest.fixture(name="gateway")
def _gateway():
    with HTTPServer(("127.0.0.1", 0), _Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "http://127.0.0.1:%d" % server.server_port
        server.shutdown()


def test_the_gateway_is_asked_and_what_is_no_answer_is_none(gateway, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert agent.read(gateway + "/metrics") == "said 1\n"
    assert agent.read(gateway + "/other") == "" and agent.read("http://127.0.0.1:9/metrics") == ""


def test_a_question_leaves_nothing_in_memory(gateway):
    """Doors ask each second for each model. What questions left, with a TLS context each, filled 128 MiB within two minutes: the kernel ended the agent."""
    agent.read(gateway + "/metrics")
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _question in range(20):
            agent.read(gateway + "/metrics")
        assert len(gc.get_objects()) - before < 200
    finally:
        gc.enable()
