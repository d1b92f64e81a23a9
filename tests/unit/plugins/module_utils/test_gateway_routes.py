"""Who answers for which model."""
import json

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gateway_routes import routes

SERVICES = [
    {"name": "oracle", "port": 8000, "extra_arguments": [], "networks": [{"address": "172.30.0.10"}, {"address": "172.31.0.10"}]},
    {"name": "executor", "port": 8002, "extra_arguments": [], "networks": [{"address": "172.30.0.20"}]},
]


def test_a_service_answers_at_its_first_address_and_has_its_fallback():
    found = routes(SERVICES, [], {"oracle": "executor"}, "/keys")
    assert found["oracle"] == {"target": "http://service_oracle/v1", "host": "172.30.0.10:8000", "address": "172.30.0.10:8000",
                               "fallback": "executor", "failsafe": "", "key_file": "", "kind": ""}
    assert found["executor"]["fallback"] == ""


def test_a_provider_is_asked_by_its_name_with_a_key_of_its_own():
    found = routes([], [{"name": "kimi", "url": "https://api.example.com/v1/", "key_file": "/root/kimi"},
                        {"name": "open", "url": "http://127.0.0.1:9000/v1", "key_file": ""}], {}, "/keys")
    assert found["kimi"] == {"target": "https://api.example.com/v1", "host": "api.example.com", "address": "", "fallback": "",
                             "failsafe": "", "key_file": "/keys/e4f9c522e1c89280.key", "kind": ""}
    assert found["open"]["host"] == "127.0.0.1:9000" and found["open"]["key_file"] == ""


def test_a_provider_stands_in_where_the_inventory_says_so_and_it_is_on():
    kimi = {"name": "kimi", "url": "https://api.example.com/v1", "key_file": ""}
    assert routes(SERVICES, [kimi], {}, "/keys", failsafes={"oracle": "kimi"})["oracle"]["failsafe"] == "kimi"
    assert routes(SERVICES, [], {}, "/keys", failsafes={"oracle": "kimi"})["oracle"]["failsafe"] == ""
    assert {route["failsafe"] for route in routes(SERVICES, [kimi], {"oracle": "executor"}, "/keys").values()} == {""}


@pytest.mark.parametrize("definition, deployed, kind", [
    ({"kind": "embeddings"}, None, "embeddings"), ({}, None, ""), ({"kind": "auto"}, "", ""), ({"extra_arguments": ["--rerank"]}, None, "reranking"),
    ({"kind": "auto"}, json.dumps({"definition": {"kind": "vision"}}), "vision"),
    ({"kind": "chat"}, json.dumps({"definition": {"kind": "embeddings"}}), "chat"),  # the inventory's is what is about to run
    ({"kind": "auto"}, json.dumps({"definition": {"kind": "auto"}}), ""), ({"kind": "auto"}, json.dumps({"definition": {}}), ""),
    ({"kind": "auto"}, "{", ""), ({"kind": "auto"}, "[]", ""), ({"kind": "auto"}, json.dumps({"definition": {"kind": ["chat"]}}), ""),
])
def test_a_service_is_of_the_kind_that_is_known_of_it(definition, deployed, kind):
    service = dict(SERVICES[0], **definition)
    assert routes([service], [], {}, "/keys", {"oracle": deployed})["oracle"]["kind"] == kind
