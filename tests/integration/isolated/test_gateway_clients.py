"""What clients of all kinds ask of the door, and in which words they are answered: OpenAI's, Anthropic's, a browser's, and nonsense.

The services are tests/stand_ins/model_server.py; the shapes are those of the two APIs' own references.
"""
import pytest

ORACLE, EXECUTOR = ("oracle", "172.30.0.10:8000"), ("executor", "172.30.0.20:8002")
QUESTION = [{"role": "user", "content": "Who are you?"}]


@pytest.fixture(scope="module")
def clients(door):
    """A door with an Oracle and an Executor that hold 8192 tokens each, both of them new."""
    for name, address in (ORACLE, EXECUTOR):
        door.sh("systemctl stop stand-in-{0} 2>/dev/null || true; systemctl reset-failed stand-in-{0} 2>/dev/null || true".format(name))
        door.stand_in(name, address, 20)
        door.sh("until (exec 3<>/dev/tcp/%s) 2>/dev/null; do sleep 0.05; done" % address.replace(":", "/"))
    door.deploy(gateway_requests_per_minute=60000, gateway_burst=3000).assert_ok()
    return door


def ask(client, path, **body):
    return client.post(path, json={"model": "oracle", **body})


@pytest.mark.parametrize("path, body, at_the_service", [
    ("/v1/embeddings", {"input": "w"}, "/v1/embeddings"),
    ("/v1/rerank", {"query": "w", "documents": ["w"]}, "/v1/rerank"),
    ("/v1/reranking", {"query": "w", "documents": ["w"]}, "/v1/rerank"),
    ("/rerank", {"query": "w", "documents": ["w"]}, "/v1/rerank"),
    ("/reranking", {"query": "w", "documents": ["w"]}, "/v1/rerank"),
])
def test_each_spelling_of_a_path_leads_to_the_service(clients, path, body, at_the_service):
    with clients.http() as client:
        answer = ask(client, path, **body)
        assert (answer.status_code, answer.json().get("path"), answer.headers["x-bunker-service"]) == (200, at_the_service, "oracle"), answer.text
        assert client.get(path).status_code == 405 and client.get(path).headers["allow"] == "POST"
    with clients.http(key=None) as client:
        assert ask(client, path, **body).status_code == 401


@pytest.mark.parametrize("path, body, tokens", [
    ("/v1/messages/count_tokens", {"system": "one two", "messages": QUESTION}, 4 + 5),
    ("/v1/responses/input_tokens", {"input": "one two three"}, 5),
    ("/v1/chat/completions/input_tokens", {"messages": QUESTION}, 5),
])
def test_a_client_may_have_its_prompt_counted(clients, path, body, tokens):
    with clients.http() as client:
        answer = ask(client, path, **body)
        assert (answer.status_code, answer.json()) == (200, {"input_tokens": tokens}), answer.text
        assert answer.headers["x-bunker-service"] == "oracle"
        # A count is no prompt: what the service cannot hold is counted all the same.
        field = "input" if "input" in body else "messages"
        long = " ".join(["w"] * 9000)
        answer = ask(client, path, **{field: long if field == "input" else [{"role": "user", "content": long}]})
        assert (answer.status_code, answer.json()["input_tokens"]) == (200, 9002)


def test_one_model_is_described_as_in_the_list(clients):
    with clients.http() as client:
        listed = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
        for name in ("oracle", "executor"):
            answer = client.get("/v1/models/" + name)
            assert answer.status_code == 200 and answer.json() == listed[name]
            assert answer.json()["object"] == "model" and answer.json()["id"] == name
        for path in ("/v1/models/gpt", "/v1/models/oracle/slots", "/v1/models/ORACLE", "/v1/models/%22%0a"):
            answer = client.get(path)
            error = answer.json()["error"]
            assert answer.status_code == 404 and set(error) == {"message", "type", "param", "code"}, answer.text
            assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "model", "model_not_found")
            assert "Known: executor, oracle" in error["message"]
        assert client.get("/v1/modelsandmore").status_code == 404
        for path in ("/v1/models", "/v1/models/oracle"):
            assert client.post(path, json={}).status_code == 405 and client.delete(path).headers["allow"] == "GET, HEAD"
    assert clients.openai().models.retrieve("oracle").id == "oracle"
    with clients.http(key=None) as client:
        assert client.get("/v1/models/oracle").status_code == 401


@pytest.mark.parametrize("path", [
    "/slots", "/props", "/metrics", "/completion", "/tokenize", "/detokenize", "/apply-template", "/v1/tokenize", "/infill", "/lora-adapters", "/v1/chat",
    "/chat/completions", "/v1/messages/batches", "/v1/responses/input_items", "/rerank/", "/v1/rerank/x", "/v1/rerank/../../slots", "/v1//slots"])
def test_everything_else_of_a_server_stays_behind_the_door(clients, path):
    with clients.http() as client:
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = client.request(method, path, json={"model": "oracle"})
            assert answer.status_code == 404 and "error" in answer.json(), (method, answer.text)
            assert "x-bunker-service" not in answer.headers


@pytest.fixture(scope="module")
def generous(clients):
    """The same door where the inventory allows what it may."""
    clients.deploy(gateway_requests_per_minute=60000, gateway_burst=3000, gateway_tokenize=True).assert_ok()
    return clients


def test_tokens_are_shown_where_the_inventory_allows_it(generous):
    with generous.http() as client:
        answer = ask(client, "/tokenize", content="one two three")
        assert (answer.status_code, answer.json()) == (200, {"tokens": [0, 1, 2]})
        assert client.post("/detokenize", json={"model": "oracle", "tokens": [0]}).status_code == 404
    with generous.http(key=None) as client:
        assert ask(client, "/tokenize", content="one").status_code == 401
