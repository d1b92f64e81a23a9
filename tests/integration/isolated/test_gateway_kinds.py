"""The door and what services are for: each is asked for that and for nothing else. The services are tests/stand_ins/model_server.py, which answer anything."""
import pytest
import yaml
from support import ROOT

ORACLE, EXECUTOR, VECTORS = ("oracle", "172.30.0.10:8000"), ("executor", "172.30.0.20:8002"), ("embedder", "172.30.0.30:8004")
QUESTION = [{"role": "user", "content": "Who are you?"}]


@pytest.fixture(scope="module")
def kinds(door):
    """A door with an Oracle that is known to chat, an Executor of which nobody knows what it is for, and a third service, which makes vectors."""
    door.sh("ip address replace 172.30.0.30/32 dev lo")
    for name, address in (ORACLE, EXECUTOR, VECTORS):
        door.sh("systemctl stop stand-in-{0} 2>/dev/null || true; systemctl reset-failed stand-in-{0} 2>/dev/null || true".format(name))
        door.stand_in(name, address, 20)
        door.sh("until (exec 3<>/dev/tcp/%s) 2>/dev/null; do sleep 0.05; done" % address.replace(":", "/"))
    services = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))["bunker_services"]
    vectors = dict(services[0], name="embedder", kind="embeddings", port=8004, networks=[{"name": "omni-network", "address": "172.30.0.30"}])
    of = {"oracle": "chat", "executor": "auto"}
    door.deploy(bunker_services=[dict(service, kind=of[service["name"]]) for service in services] + [vectors],
                gateway_fallbacks={"oracle": "executor", "executor": "oracle"}, gateway_requests_per_minute=60000, gateway_burst=3000).assert_ok()
    yield door
    door.sh("systemctl stop stand-in-embedder 2>/dev/null || true")
    door.deploy(gateway_requests_per_minute=60000, gateway_burst=3000).assert_ok()


@pytest.mark.parametrize("model, path, body, status", [
    ("embedder", "/v1/embeddings", {"input": "w"}, 200), ("embedder", "/v1/chat/completions", {"messages": QUESTION}, 400),
    ("embedder", "/v1/messages", {"messages": QUESTION, "max_tokens": 3}, 400), ("embedder", "/infill", {"input_prefix": "a", "input_suffix": "b"}, 400),
    ("embedder", "/rerank", {"query": "w", "documents": ["w"]}, 400), ("oracle", "/v1/embeddings", {"input": "w"}, 400),
    ("oracle", "/v1/chat/completions", {"messages": QUESTION}, 200), ("oracle", "/infill", {"input_prefix": "a", "input_suffix": "b"}, 200),
    ("executor", "/v1/embeddings", {"input": "w"}, 200)])
def test_a_service_is_asked_for_what_it_is_for(kinds, model, path, body, status):
    with kinds.http() as client:
        answer = client.post(path, json={"model": model, **body})
        assert answer.status_code == status, answer.text
        if status == 400:
            error = answer.json()["error"]
            assert error["type"] == "invalid_request_error" and "(kind %s)" % {"embedder": "embeddings", "oracle": "chat"}[model] in error["message"]
            assert "x-bunker-service" not in answer.headers
        described = {one["id"]: one["meta"]["kind"] for one in client.get("/v1/models").json()["data"]}
        assert described == {"embedder": "embeddings", "oracle": "chat", "executor": None}
