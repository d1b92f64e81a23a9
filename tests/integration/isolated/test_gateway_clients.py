"""What clients of all kinds ask of the door, and in which words they are answered: OpenAI's, Anthropic's, a browser's, and nonsense.

The services are tests/stand_ins/model_server.py; the shapes are those of the two APIs' own references.
"""
import json
import re
import socket
import time

import httpx2
import openai
import pytest
from support.api_words import CHAT, CHOICES, RESPONSES, in_anthropics_words, in_openais_words, tools_of

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


@pytest.mark.parametrize("path, choice, told, names", CHOICES)
def test_a_function_that_is_chosen_by_name_is_the_one_that_is_offered(clients, path, choice, told, names):
    text = {"input": "Who?"} if path == RESPONSES else {"messages": QUESTION}
    request = {**text, "tools": tools_of(path, "a", "b]}", "c"), **({} if choice is None else {"tool_choice": choice})}
    with clients.http() as client:
        heard = [ask(client, path, hears=what, **request).json()["heard"] for what in ("tool_choice", "tools")]
        assert heard == [told, names and tools_of(path, *names)]


@pytest.mark.parametrize("tools", [None, [], {}, "a", [None, 3, "a", []]])
def test_a_choice_among_no_tools_is_the_services_to_judge(clients, tools):
    with clients.http() as client:
        for choice in ({"type": "function", "function": {"name": "a"}}, {"type": "tool", "name": "a"}):
            answer = ask(client, CHAT, messages=QUESTION, tools=tools, tool_choice=choice, hears="tools")
            assert (answer.status_code, answer.json()["heard"]) == (200, tools)


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
    "/slots", "/props", "/metrics", "/completion", "/tokenize", "/detokenize", "/apply-template", "/v1/tokenize", "/lora-adapters", "/v1/chat",
    "/chat", "/chat/completions", "/v1/messages/batches", "/v1/responses/input_items", "/rerank/", "/v1/rerank/x", "/v1/rerank/../../slots", "/v1//slots"])
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
                   gateway_wrong_keys_per_minute=100, gateway_cors_origins=ORIGINS, gateway_aliases=ALIASES).assert_ok()
    return clients


def test_tokens_are_shown_where_the_inventory_allows_it(generous):
    with generous.http() as client:
        answer = ask(client, "/tokenize", content="one two three")
        assert (answer.status_code, answer.json()) == (200, {"tokens": [0, 1, 2]})
        assert client.post("/detokenize", json={"model": "oracle", "tokens": [0]}).status_code == 404
    with generous.http(key=None) as client:
        assert ask(client, "/tokenize", content="one").status_code == 401


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


@pytest.mark.parametrize("path", [
    "/v1/models", "/v1/models/oracle", "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/rerank", "/tokenize", "/health", "/v1/nothing",
    "/"])
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


def test_a_page_of_the_web_may_ask_a_door_at_home(generous):
    """Chrome asks for it where a page of the internet wants to reach a private address (the draft "Private Network Access")."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}
    with generous.http(key=None) as client:
        for origin, told_ in ((ORIGINS[0], "true"), ("https://evil.example", None)):
            answer = client.options("/v1/models", headers={"Origin": origin, **asked})
            assert answer.headers.get("access-control-allow-private-network") == told_


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


def said(door, data, tls=True):
    """What the door answers to these bytes: status, headers and body of the first answer."""
    opened = socket.create_connection((door.address, door.port), timeout=10)
    if tls:
        opened = door.context.wrap_socket(opened, server_hostname=door.address)
    with opened:
        opened.sendall(data)
        found = b""
        while True:
            try:
                part = opened.recv(65536)
            except ConnectionResetError:
                break
            if not part:
                break
            found += part
            head, _gap, body = found.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if (length and len(body) >= int(length.group(1))) or body.endswith(b"0\r\n\r\n"):
                break
    head, _gap, body = found.partition(b"\r\n\r\n")
    if re.search(rb"transfer-encoding: chunked", head, re.IGNORECASE):
        body = b"".join(re.findall(rb"[0-9a-f]+\r\n(.+)\r\n", body))
    return int(head.split()[1]), head.decode("latin-1").lower(), body


def request(key, line=b"POST /v1/chat/completions HTTP/1.1", headers=(), body=b"", host=b"Host: x"):
    heads = [line, host, b"Authorization: Bearer " + key.encode(), b"Content-Length: %d" % len(body), b"Connection: close", *headers]
    return b"\r\n".join(heads) + b"\r\n\r\n" + body


NONSENSE = {  # what, and the statuses that may be said of it
    "a version that does not exist": (dict(line=b"GET /v1/models HTTP/9.9"), {400}),
    "no version": (dict(line=b"GET /v1/models HTTP/x"), {400}),
    "a long address": (dict(line=b"GET /v1/models?" + b"a" * 20_000 + b" HTTP/1.1"), {414}),
    "a way out": (dict(line=b"GET /v1/../../etc/passwd HTTP/1.1"), {400}),
    "a hidden way out": (dict(line=b"GET /v1/%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), {400}),
    "NUL": (dict(line=b"GET /v1/\0 HTTP/1.1"), {400}),
    "hidden NUL": (dict(line=b"GET /v1/models/%00 HTTP/1.1"), {400}),
    "NUL in a header": (dict(headers=[b"X-Nothing: a\0b"]), {400}),
    "CONNECT": (dict(line=b"CONNECT example.com:443 HTTP/1.1"), {400, 405}),
    "TRACE": (dict(line=b"TRACE /v1/models HTTP/1.1"), {405}),
    "no method": (dict(line=b"\x16\x03\x01\x02"), {400}),
    "a method of small letters": (dict(line=b"get /v1/models HTTP/1.1"), {400}),
    "a half escape": (dict(line=b"GET /v1/models/%2 HTTP/1.1"), {400}),
    "no host": (dict(host=b"X-Host: x"), {400}),
    "two hosts": (dict(headers=[b"Host: y"]), {400}),
    "an odd host": (dict(host=b"Host: a/b"), {400}),
    "two lengths": (dict(headers=[b"Content-Length: 5"]), {400}),
    "a length and chunks": (dict(headers=[b"Transfer-Encoding: chunked"]), {400}),
    "chunks of another kind": (dict(headers=[b"Transfer-Encoding: gzip"]), {400}),
    "many headers": (dict(headers=[b"X-%d: 1" % number for number in range(500)]), {431}),
    "many headers of one name": (dict(headers=[b"X-Same: 1"] * 500), {431}),
    "long headers": (dict(headers=[b"X-Long: " + b"a" * 40_000]), {431}),
    "bytes that are no UTF-8": (dict(body=b'{"model": "oracle", "messages": [{"role": "user", "content": "\xff\xfe"}]}'), {400}),
    "half a character": (dict(body=b'{"model": "oracle", "messages": [{"role": "user", "content": "\xe2\x82"}]}'), {400}),
    "a surrogate": (dict(body=b'{"model": "oracle", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}'), {400}),
    "no number": (dict(body=b'{"model": "oracle", "max_tokens": NaN}'), {400}),
    "deep arrays": (dict(body=b'{"model": "oracle", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), {400}),
    "no body": (dict(), {400}),
    "an array": (dict(body=b'["oracle"]'), {400}),
    "a text": (dict(body=b'"oracle"'), {400}),
    "another key than model": (dict(body=b'{"MODEL": "oracle"}'), {404}),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused_in_json_and_leaves_one_short_line(clients, what):
    made, statuses = NONSENSE[what]
    begun = clients.sh("date '+%F %T.%6N'")
    before = counted(clients)
    status, head, body = said(clients, request(clients.keys["alice"], **made))
    assert status in statuses, (head, body)
    assert "content-type: application/json" in head
    error = json.loads(body.decode("utf-8"))["error"]
    assert error["message"] and error["code"] in (status, "model_not_found") and len(body) < 600
    # A status of 200 is of the test before, which asked whether the door still answers.
    lines = clients.journal(begun, "bunker_gateway", "nginx", wanted=lambda line: '"status":200' not in line)
    assert len(lines) == 1 and len(lines[0]) < 500, lines
    assert json.loads(lines[0])["status"] == status
    assert "traceback" not in clients.sh("journalctl --no-pager --quiet --since '%s' -u protocol-omni-gateway" % begun)
    assert counted(clients) == before + 1
    with clients.http() as client:
        assert client.get("/v1/models").status_code == 200


def counted(door):
    """The requests that were refused, by the gateway's own count."""
    page = door.sh("python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:9180/metrics').read().decode())\"")
    return sum(int(value) for value in re.findall(r'bunker_gateway_requests_total\{model="none",service="",status="4[0-9]+"\} ([0-9]+)', page))


def test_plain_http_at_the_tls_port_is_told_so(clients):
    status, head, body = said(clients, b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", tls=False)
    assert status == 400 and "application/json" in head and "error" in json.loads(body)


@pytest.mark.parametrize("name", [
    "", " ", "oracle ", "ORACLE", "oracle\n", "oracle\0", "../oracle", "oracle/../executor", "__index", "'; DROP TABLE models; --", "\u202eelcaro",
    "\U0001f916" * 100, "o" * 1_000_000, "%s%n", "${jndi:ldap://x}", "\ud800", 5, 1e400, True, None, [], {}, ["oracle"], {"oracle": 1}])
def test_an_odd_name_of_a_model_is_nobodys(clients, name):
    with clients.http() as client:
        for path in ("/v1/chat/completions", "/v1/messages"):
            answer = client.post(path, content=json.dumps({"model": name, "messages": QUESTION}).replace("Infinity", "1e400"),
                                 headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 404) and len(answer.content) < 600, answer.text
            assert "x-bunker-service" not in answer.headers and answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/models/%ff%fe", "/v1/%e2%82", "/v1/models/" + "%c3%a4" * 300, "/v1/" + "a" * 5000])
def test_an_odd_path_is_answered_in_sound_json(clients, path):
    status, head, body = said(clients, request(clients.keys["alice"], b"GET " + path.encode() + b" HTTP/1.1"))
    assert status == 404 and len(body) < 600 and json.loads(body.decode("utf-8"))["error"]["message"]


WRONG_KEYS = """
import collections, secrets, ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/etc/protocol_omni/gateway/self_signed.pem")
for number in range(150):
    request = urllib.request.Request(sys.argv[1] + "/v1/models", headers={"Authorization": "Bearer " + secrets.token_hex(32)})
    try:
        print(urllib.request.urlopen(request, context=context).status)
    except urllib.error.HTTPError as answer:
        print(answer.code)
key = open("/etc/protocol_omni/gateway/operator.key").read().strip()
print(urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/v1/models", headers={"Authorization": "Bearer " + key}), context=context).status)
"""


def test_an_address_with_wrong_keys_is_slowed_down_and_told_of_in_a_sum(generous):
    """Whoever holds a key is answered all the same, from the same address: here the host's own, which asked for nothing before."""
    begun = generous.sh("date '+%F %T'")
    statuses = [int(status) for status in generous.sh("python3 - %s" % generous.url, stdin=WRONG_KEYS).split()]
    assert statuses == [401] * 100 + [429] * 50 + [200]
    ends, told_ = time.monotonic() + 150, []
    while sum(line.get("without_key", 0) for line in told_) < 149 and time.monotonic() < ends:  # two sums, where the minute ends amid the requests
        time.sleep(2)
        lines = generous.sh("journalctl --no-pager --quiet --output=cat --since '%s' -t bunker_gateway" % begun).splitlines()
        told_ = [line for line in map(json.loads, lines) if line["from"] == generous.address]
    assert [line["status"] for line in told_ if "status" in line] == [401, 200]
    sums = [line["without_key"] for line in told_ if "status" not in line]
    assert sum(sums) == 149 and len(sums) <= 2


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_the_head_and_the_comments_of_a_stream_pass_before_its_first_word(clients, path):
    """llama-server sends both while it reads a prompt; a client that hears nothing for minutes gives up."""
    heard = []
    with clients.http() as client:
        begun = time.monotonic()
        with client.stream("POST", path, json={"model": "oracle", "messages": QUESTION, "stream": True, "reads": 8}) as answer:
            head = time.monotonic() - begun
            assert answer.status_code == 200 and answer.headers["content-type"] == "text/event-stream"
            for part in answer.iter_raw():
                heard.append((time.monotonic() - begun, part))
    comments = [moment for moment, part in heard if part == b":\n\n"]
    first = min(moment for moment, part in heard if b"data:" in part)
    assert head < first - 4 and comments[0] < first - 4 and len(comments) >= 3  # held back, all would come with the first word
