"""What clients of all kinds ask of the door, and in which words they are answered: OpenAI's, Anthropic's, a browser's, and nonsense.

The services are tests/stand_ins/model_server.py; the shapes are those of the two APIs' own references.
"""
import json

import httpx2
import openai
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


ORIGINS = ["https://chat.example.com", "app://obsidian.md", "vscode-webview://0abc-12", "tauri://localhost", "http://localhost:3000"]


ALIASES = {"gpt-4o": "oracle", "claude-sonnet-4": "executor", "meta-llama/Llama-3.1:latest": "oracle"}


@pytest.fixture(scope="module")
def generous(clients):
    """The same door where the inventory allows what it may."""
    clients.deploy(gateway_requests_per_minute=60000, gateway_burst=3000, gateway_tokenize=True, gateway_response_timeout=4,
                   gateway_cors_origins=ORIGINS, gateway_aliases=ALIASES).assert_ok()
    return clients


def test_tokens_are_shown_where_the_inventory_allows_it(generous):
    with generous.http() as client:
        answer = ask(client, "/tokenize", content="one two three")
        assert (answer.status_code, answer.json()) == (200, {"tokens": [0, 1, 2]})
        assert client.post("/detokenize", json={"model": "oracle", "tokens": [0]}).status_code == 404
    with generous.http(key=None) as client:
        assert ask(client, "/tokenize", content="one").status_code == 401


def in_anthropics_words(answer, status, kind):
    """The message of an error that has Anthropic's shape, by the reference of its API."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"type", "error"} and body["type"] == "error", body
    assert body["error"]["type"] == kind and {"code", "param"}.isdisjoint(body["error"]), body
    return body["error"]["message"]


def in_openais_words(answer, status, kind):
    """The message of an error that has OpenAI's shape, by the reference of its API; its number is the answer's."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and (error["type"], error["code"]) == (kind, status), error
    return error["message"]


WRONG = "Bearer " + "0" * 64
NOT_ANSWERED = [  # request, status, type for OpenAI's clients, type for Anthropic's
    (dict(headers={"Authorization": ""}, json={}), 401, "authentication_error", "authentication_error"),
    (dict(headers={"Authorization": WRONG}, json={}), 401, "authentication_error", "authentication_error"),
    (dict(method="GET"), 405, "invalid_request_error", "invalid_request_error"),
    (dict(content=b"{"), 400, "invalid_request_error", "invalid_request_error"),
    (dict(content=b" " * (17 * 1024 * 1024)), 413, "invalid_request_error", "request_too_large"),
    (dict(json={"model": "executor", "messages": QUESTION, "dies": "executor"}), 502, "service_unavailable", "api_error"),
    (dict(json={"model": "executor", "messages": QUESTION, "think": 8}), 504, "service_unavailable", "timeout_error"),
    (dict(json={"model": "executor", "messages": QUESTION, "fails": 503}), 503, "server_error", "overloaded_error"),
    (dict(json={"model": "executor", "messages": QUESTION, "fails": 500}), 500, "server_error", "api_error"),
    (dict(json={"model": "executor", "messages": QUESTION, "fails": 400}), 400, "server_error", "invalid_request_error"),
    (dict(json={"model": "executor", "messages": QUESTION, "fails": 500, "plain": "oops"}), 500, "server_error", "api_error"),
]


@pytest.mark.parametrize("request_, status, openais, anthropics", NOT_ANSWERED)
def test_an_error_is_told_in_the_words_of_the_api_that_was_asked(generous, request_, status, openais, anthropics):
    with generous.http() as client:
        for path in ("/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"):
            if "count" in path and (status > 413 or "fails" in request_.get("json", {})):
                continue  # the stand-in counts whatever was ordered
            assert in_anthropics_words(client.request(**{"method": "POST", **request_}, url=path), status, anthropics)
        for path in ("/v1/chat/completions", "/v1/responses"):
            answer = client.request(**{"method": "POST", **request_}, url=path)
            if "fails" in request_.get("json", {}) and "plain" not in request_["json"]:  # the service's own, which is OpenAI's without a param
                assert (answer.status_code, answer.json()["error"]["type"], answer.json()["error"]["code"]) == (status, openais, status)
            else:
                assert in_openais_words(answer, status, openais)
            assert ("retry-after" in answer.headers) == (status in (502, 504)), answer.headers
            assert answer.headers["content-type"] == "application/json"


def test_an_unknown_model_is_told_in_both_words(clients):
    with clients.http() as client:
        assert "oracle" in in_anthropics_words(client.post("/v1/messages", json={"model": "claude"}), 404, "not_found_error")
        error = client.post("/v1/chat/completions", json={"model": "gpt"}).json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "model_not_found", "model")


def events(client, path, **body):
    """The events of a stream: name and data."""
    with client.stream("POST", path, json={"model": "oracle", "stream": True, "max_tokens": 6, "messages": QUESTION, **body}) as answer:
        assert answer.status_code == 200
        found, text = [], ""
        try:
            for part in answer.iter_text():
                text += part
        except httpx2.RemoteProtocolError:
            pass  # the connection of a broken stream is cut behind its last event
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if fields:
                found.append((fields.get("event"), fields["data"] if fields["data"] == "[DONE]" else json.loads(fields["data"])))
        return found


@pytest.mark.parametrize("order, message", [
    ({"breaks": 4}, "oracle stopped in the middle of its answer. Ask again."), ({"breaks": 0}, "oracle stopped in the middle of its answer. Ask again."),
    ({"stumbles": 4}, "It was ordered."), ({"stumbles": 0}, "It was ordered.")])
def test_a_broken_stream_ends_in_the_words_of_its_api(clients, order, message):
    words = max(order.values())
    with clients.http() as client:
        *before, (name, last) = events(client, "/v1/chat/completions", **order)
        assert len(before) == words and name is None
        assert last["error"]["message"] == message and (last["error"]["code"], last["error"]["type"]) in ((502, "service_interrupted"), (500, "server_error"))
        *before, last = events(client, "/v1/messages", **order)
        assert len(before) == words and last == ("error", {"type": "error", "error": {"type": "api_error", "message": message}})
        *before, (name, last) = events(client, "/v1/responses", **order)
        assert len(before) == words and name == last["type"] == "error"
        assert (last["message"], last["code"], last["param"], last["sequence_number"]) == (message, "server_error", None, words)
        assert last["error"]["message"] == message


def test_a_whole_stream_ends_as_its_api_wants_it(clients):
    with clients.http() as client:
        for path, end in (("/v1/chat/completions", (None, "[DONE]")), ("/v1/messages", ("message_stop", {"type": "message_stop"})),
                          ("/v1/responses", ("response.completed", {"type": "response.completed", "sequence_number": 0}))):
            *before, last = events(client, path)
            assert len(before) == 7 and last == end  # its name, what it heard, and words


@pytest.mark.parametrize("path", ["chat.completions", "responses"])
def test_openais_client_raises_where_a_stream_broke(clients, path):
    client = clients.openai()
    with pytest.raises(openai.APIError, match="oracle stopped in the middle of its answer"):
        if path == "responses":
            list(client.responses.create(model="oracle", input="Who are you?", stream=True, extra_body={"breaks": 2}))
        else:
            list(client.chat.completions.create(model="oracle", messages=QUESTION, stream=True, extra_body={"breaks": 2}))


def test_what_a_service_finds_too_long_itself_is_told_like_what_the_gateway_finds(clients):
    order = {"messages": QUESTION, "fails": 400, "overflows": 5}
    with clients.http() as client:
        answer = ask(client, "/v1/chat/completions", **order)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["type"], error["prompt_tokens"]) == (400, "context_length_exceeded", "invalid_request_error", 8197)
        assert "exceeds the available context size (8192 tokens)" in error["message"]
        message = in_anthropics_words(ask(client, "/v1/messages", **order), 400, "invalid_request_error")
        assert message.startswith("prompt is too long: 8197 tokens > 8191 maximum")


# What browsers say that OpenAI's and Anthropic's clients want to send.
ASKED = ["authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
         "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout,openai-organization",
         "anthropic-beta, anthropic-dangerous-direct-browser-access, anthropic-version, content-type, x-api-key, X-Stainless-Helper-Method",
         "authorization,content-type,user-agent", "content-type", None]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/oracle", "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/rerank", "/tokenize",
                                  "/health", "/v1/nothing", "/"])
def test_a_listed_page_may_ask_whether_it_may_ask(generous, path):
    with generous.http(key=None) as client:
        for number, origin in enumerate(ORIGINS):
            asked = ASKED[number]
            more = {"Access-Control-Request-Headers": asked} if asked else {}
            answer = client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST", **more})
            told_ = answer.headers
            assert answer.status_code == 204 and told_.get_list("access-control-allow-origin") == [origin]
            allowed = {name.strip().lower() for name in told_["access-control-allow-headers"].split(",")}
            assert allowed >= {name.strip().lower() for name in (asked or "").split(",") if name}
            assert allowed >= {"authorization", "content-type", "x-api-key", "anthropic-version", "anthropic-beta",
                               "anthropic-dangerous-direct-browser-access"}
            assert {"GET", "POST"} <= {name.strip() for name in told_["access-control-allow-methods"].split(",")}
            assert int(told_["access-control-max-age"]) >= 600 and "access-control-allow-credentials" not in told_
            assert {name.strip().lower() for name in told_["vary"].split(",")} >= {"origin", "access-control-request-headers"}


def test_a_page_may_send_what_clients_send_and_nothing_else(generous):
    with generous.http(key=None) as client:
        asked = "x-forwarded-for, host, cookie, x-stainless-, x-stainless-a b, x-real-ip, x-stainless-os"
        answer = client.options("/v1/models", headers={"Origin": ORIGINS[0], "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": asked})
        allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
        assert "x-stainless-os" in allowed and allowed.isdisjoint({"x-forwarded-for", "host", "cookie", "x-stainless-", "x-stainless-a", "b", "x-real-ip"})


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "app://other.md", "https://chat.example.com.evil.example", "http://chat.example.com",
                                    "https://chat.example.com:444", "HTTPS://CHAT.EXAMPLE.COM", "https://chat.example.com, https://evil.example", ""])
def test_no_other_page_may_ask(generous, origin):
    with generous.http(key=None) as stranger, generous.http() as client:
        for answer in (stranger.options("/v1/models", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}),
                       stranger.get("/v1/models", headers={"Origin": origin}), client.get("/v1/models", headers={"Origin": origin}),
                       ask(client, "/v1/chat/completions", messages=QUESTION)):
            assert not [name for name in answer.headers if name.startswith("access-control-")], answer.headers
            assert "origin" in answer.headers["vary"].lower()  # a cache may not give this answer to another page


def test_a_listed_page_can_read_answers_and_errors(generous):
    asked = {"Origin": "app://obsidian.md"}
    with generous.http() as client, generous.http(key=None) as stranger:
        question = {"model": "executor", "messages": QUESTION}
        answers = {
            200: client.post("/v1/chat/completions", json=question, headers=asked), 401: stranger.get("/v1/models", headers=asked),
            404: client.post("/v1/chat/completions", json={"model": "gpt"}, headers=asked), 405: client.delete("/v1/models", headers=asked),
            413: client.post("/v1/messages", content=b" " * (17 * 1024 * 1024), headers=asked),
            500: client.post("/v1/messages", json={**question, "fails": 500}, headers=asked),
            502: client.post("/v1/messages", json={**question, "dies": "executor"}, headers=asked),
        }
        for status, answer in answers.items():
            assert answer.status_code == status and answer.headers.get_list("access-control-allow-origin") == ["app://obsidian.md"]
            assert answer.headers.get_list("vary") == ["Origin"]
            assert "x-bunker-service" in answer.headers["access-control-expose-headers"].lower()
        assert client.get("/slots", headers=asked).headers["access-control-allow-origin"] == "app://obsidian.md"


def test_a_service_answers_to_its_aliases(generous):
    with generous.http() as client:
        for alias, service in ALIASES.items():
            for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/messages/count_tokens"):
                answer = client.post(path, json={"model": alias, "messages": QUESTION})
                assert (answer.status_code, answer.headers["x-bunker-service"]) == (200, service), answer.text
        assert client.post("/v1/chat/completions", json={"model": "gpt-4", "messages": QUESTION}).status_code == 404
        # By its own context, and with its fallback.
        long = [{"role": "user", "content": " ".join(["w"] * 9000)}]
        error = client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": long}).json()["error"]
        assert error["code"] == "context_length_exceeded" and error["limits"] == {"oracle": 8192, "executor": 8192}
        answer = client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": QUESTION, "dies": "oracle"})
        assert (answer.status_code, answer.headers["x-bunker-service"], answer.headers["x-bunker-reason"]) == (200, "executor", "down")
    assert '"model":"oracle","alias":"gpt-4o"' in generous.sh("journalctl --no-pager --quiet --since -60s -t bunker_gateway")


def test_aliases_are_listed_as_models_of_their_own(generous):
    listed = {model.id: model for model in generous.openai().models.list()}
    assert set(listed) == {"oracle", "executor", *ALIASES}
    assert {model.owned_by for model in listed.values()} == {"bunker"}
    for alias, service in ALIASES.items():
        assert listed[alias].meta == listed[service].meta and listed[alias].meta["n_ctx"] == 8192
        assert generous.openai().models.retrieve(alias).id == alias
