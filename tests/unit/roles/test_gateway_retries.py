"""For which failures the gateway asks another service, and how often, as nginx is told. Which service that is, is choice.lua's to say.

What becomes of requests while a service dies is seen in tests/integration/isolated/test_gateway.py, on a host.
"""
import re

import pytest
import rendering

GIVEN = {"ansible_facts": {"processor_nproc": 2}, "_gateway_listen": "127.0.0.1", "_gateway_resolvers": [],
         "_gateway_routes": {"oracle": {"address": "172.30.0.10:8000"}, "executor": {"address": "172.30.0.20:8002"}},
         "bunker_config_path": "/etc/protocol_omni"}
# What nginx can go on for (ngx_http_proxy_module), and whether a question is asked again of another service. "error" and "timeout" are those before
# anything was answered: nginx passes nothing on after that.
FAILURES = {"error": True, "timeout": True, "invalid_header": False, "denied": False, "http_500": False, "http_502": False, "http_503": True,
            "http_504": False, "http_403": False, "http_404": False, "http_429": False}


@pytest.fixture(scope="module", name="words")
def _words():
    text = rendering.render_template("gateway", "nginx.conf.j2", GIVEN)
    return {name: value.split() for name, value in re.findall(r"(?m)^\s*(proxy_(?:next_upstream|connect)\w*) ([^;]+);", text)}


@pytest.mark.parametrize("failure", FAILURES)
def test_another_service_is_asked_for_these_failures_alone(words, failure):
    assert (failure in words["proxy_next_upstream"]) == FAILURES[failure]


def test_questions_are_posts_and_asked_again_all_the_same(words):
    assert "non_idempotent" in words["proxy_next_upstream"] and set(words["proxy_next_upstream"]) <= {"non_idempotent", *FAILURES}


def test_at_most_two_are_asked_and_none_after_the_first_may_be_at_work_on_it(words):
    assert words["proxy_next_upstream_tries"] == ["2"]
    assert int(words["proxy_connect_timeout"][0].rstrip("s")) < int(words["proxy_next_upstream_timeout"][0].rstrip("s")) <= 60
