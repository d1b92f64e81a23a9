"""Who answers for which model."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils.gateway_routes import routes

SERVICES = [
    {"name": "oracle", "port": 8000, "networks": [{"address": "172.30.0.10"}, {"address": "172.31.0.10"}]},
    {"name": "executor", "port": 8002, "networks": [{"address": "172.30.0.20"}]},
]


def test_a_service_answers_at_its_first_address_and_has_its_fallback():
    found = routes(SERVICES, [], {"oracle": "executor"}, "/keys")
    assert found["oracle"] == {"target": "http://service_oracle/v1", "host": "172.30.0.10:8000", "address": "172.30.0.10:8000",
                               "fallback": "executor", "key_file": ""}
    assert found["executor"]["fallback"] == ""


def test_a_provider_is_asked_by_its_name_with_a_key_of_its_own():
    found = routes([], [{"name": "kimi", "url": "https://api.example.com/v1/", "key_file": "/root/kimi"},
                        {"name": "open", "url": "http://127.0.0.1:9000/v1", "key_file": ""}], {}, "/keys")
    assert found["kimi"] == {"target": "https://api.example.com/v1", "host": "api.example.com", "address": "", "fallback": "",
                             "key_file": "/keys/e4f9c522e1c89280.key"}
    assert found["open"]["host"] == "127.0.0.1:9000" and found["open"]["key_file"] == ""
