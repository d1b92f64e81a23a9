"""What the holders of keys use, and how much of what they may: tokens by key and model, limits of a key, names and parameters of requests.

The services are tests/stand_ins/model_server.py: a token is a word, a message has two more. They tell their tokens where llama-server does.
"""
import datetime
import json
import re
import socket
import time

import httpx2
import pytest
from support.gateway_host import hashed

ORACLE, EXECUTOR = ("oracle", "172.30.0.10:8000"), ("executor", "172.30.0.20:8002")
QUESTION = [{"role": "user", "content": "Who are you?"}]  # 5 tokens
ANSWER = 4  # words: NAME heard no key
COMMAND = "bunker-usage"


@pytest.fixture(scope="module")
def metered(door):
    """A door where bob may ask the Executor alone, and carol has 200 tokens a day."""
    for name, address in (ORACLE, EXECUTOR):
        door.sh("systemctl stop stand-in-{0} 2>/dev/null || true; systemctl reset-failed stand-in-{0} 2>/dev/null || true".format(name))
        door.stand_in(name, address, 200)
        door.sh("until (exec 3<>/dev/tcp/%s) 2>/dev/null; do sleep 0.05; done" % address.replace(":", "/"))
    deploy(door)
    door.stop()
    door.sh("rm -f " + door.state)  # what the tests of other modules used on this host
    door.restart()
    return door


def deploy(door, **more):
    limits = {"alice": {}, "bob": {"models": ["executor"], "aliases": {"gpt-4o": "executor"}}, "carol": {"tokens_per_day": 200}}
    keys = [{"name": name, "sha256": hashed(door.keys[name]), **limit} for name, limit in limits.items()]
    door.deploy(gateway_requests_per_minute=60000, gateway_burst=3000, gateway_tokenize=True, gateway_aliases={"gpt-4o": "oracle"}, gateway_keys=keys,
                **more).assert_ok()


def rows_of(door):
    """What the control socket says, one row a day, key, model and service."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(door.control_socket())
        control.sendall(b"GET /usage HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: control.recv(65536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])["rows"] or []  # an empty table of Lua is {}


def used(door):
    """Of each key, model and service: requests, tokens read and written, and how many of the requests were estimated."""
    rows = rows_of(door)
    assert {row["day"] for row in rows} <= {datetime.datetime.now(datetime.timezone.utc).date().isoformat(), "earlier"}
    return {(row["key"], row["model"], row["service"]): [row[field] for field in ("requests", "read", "written", "estimated")] for row in rows}


def requests(sums):
    """How many there were; a request is the last that is counted of itself."""
    return sum(figures[0] for figures in sums.values())


def cost(door, ask, key="alice", model="oracle", service="oracle"):
    """What a request adds to the sums of a key, once it was counted."""
    before, ends = used(door), time.monotonic() + 30
    ask()
    while requests(used(door)) == requests(before) and time.monotonic() < ends:
        time.sleep(0.05)
    after = used(door)
    assert {place for place in after if after[place] != before.get(place)} <= {(key, model, service)}
    return [new - old for new, old in zip(after.get((key, model, service), [0] * 4), before.get((key, model, service), [0] * 4), strict=True)]


def post(door, path, body, key="alice"):
    """Asks; returns the answer, or all of its stream."""
    with door.http(key) as client, client.stream("POST", path, json={"model": "oracle", **body}) as answer:
        answer.read()
        return answer


CHAT, TEXT = {"messages": QUESTION}, {"input": "one two three"}
TOLD = [  # path, request, tokens read, whether it writes
    ("/v1/chat/completions", CHAT, 5, True), ("/v1/completions", {"prompt": "one two"}, 2, True), ("/v1/messages", CHAT, 5, True),
    ("/v1/responses", TEXT, 5, True), ("/v1/embeddings", TEXT, 5, False), ("/rerank", {"query": "one", "documents": ["two", "three four"]}, 4, False),
    ("/infill", {"input_prefix": "one two", "input_suffix": "three"}, 3, True)]


@pytest.mark.parametrize("path, body, read, writes", TOLD)
def test_what_an_answer_says_is_counted(metered, path, body, read, writes):
    found = cost(metered, lambda: post(metered, path, {**body, "accounts": True, "max_tokens": 9}))
    assert found == [1, read, ANSWER + 6 if writes else 0, 0]


@pytest.mark.parametrize("pieces", [1, 7, 100, True])
@pytest.mark.parametrize("path, body, read", [(path, body, read) for path, body, read, writes in TOLD if writes] + [
    ("/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}}, 5)])
def test_what_a_stream_says_at_its_end_is_counted(metered, path, body, read, pieces):
    """Also where the network cuts it into pieces."""
    found = cost(metered, lambda: post(metered, path, {**body, "stream": True, "accounts": pieces, "max_tokens": 9}))
    assert found == [1, read, ANSWER + 6, 0]


def test_a_text_that_speaks_of_tokens_is_no_account(metered):
    said = '{"usage": {"prompt_tokens": 900, "completion_tokens": 900}, "predicted_n": 900}'
    for stream in (False, True):
        body = {"messages": [{"role": "user", "content": said}], "accounts": True, "stream": stream, "hears": "messages"}
        assert cost(metered, lambda: post(metered, "/v1/chat/completions", body))[2:] == [ANSWER, 0]


@pytest.mark.parametrize("format_, wanted", [
    ('{"type": "json_schema", "name": "c", "strict": true, "schema": {"enum": ["}\\"", 12345678901234567890, 1.10], "required": []}}',
     '{"type": "json_schema", "json_schema": {"name": "answer", "schema": {"enum": ["}\\"", 12345678901234567890, 1.10], "required": []}}}'),
    ('{"type": "json_object"}', '{"type": "json_object"}'), ('{"type": "text"}', "null"), ('"text"', "null")])
def test_a_schema_of_the_responses_api_is_said_where_llama_server_looks(metered, format_, wanted):
    """It reads response_format alone, and would write free text."""
    body = '{"model": "oracle", "input": "w", "text": {"verbosity": "low", "format": %s}, "hears": "response_format"}' % format_
    with metered.http() as client:
        answer = client.post("/v1/responses", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["heard"]) == (200, json.loads(wanted)), answer.text


def leave(door, body, events):
    """A client that reads a stream no further than this."""
    with door.http() as client, client.stream("POST", "/v1/chat/completions", json={"model": "oracle", "stream": True, **CHAT, **body}) as answer:
        heard = b""
        try:
            for part in answer.iter_raw():
                heard += part
                if heard.count(b"data:") >= events:
                    return
        except httpx2.RemoteProtocolError:
            pass  # the connection of a broken stream is cut behind its last event


@pytest.mark.parametrize("order, least, most", [({"breaks": 6, "max_tokens": 20}, 6, 8), ({"stumbles": 6, "max_tokens": 20}, 6, 8)])
def test_a_stream_that_broke_counts_as_far_as_it_came(metered, order, least, most):
    count, read, written, estimated = cost(metered, lambda: leave(metered, {**order, "accounts": True}, 1000))
    assert (count, estimated) == (1, 1) and least <= written <= most
    assert 5 <= read <= 60  # of a request of some 150 bytes


def test_who_leaves_before_the_account_is_counted_all_the_same(metered):
    count, _read, written, estimated = cost(metered, lambda: leave(metered, {"accounts": True, "max_tokens": 3000}, 10))
    assert (count, estimated) == (1, 1) and 10 <= written < 2500

    def hang_up():
        with metered.http() as client, pytest.raises(Exception, match="timed out"):
            client.post("/v1/chat/completions", json={"model": "oracle", **CHAT, "think": 3}, timeout=httpx2.Timeout(20, read=0.5))
    count, read, written, estimated = cost(metered, hang_up)
    assert (count, written, estimated) == (1, 0, 1) and 5 <= read <= 60


def test_an_answer_without_an_account_is_estimated(metered):
    """Of a provider, say. Four bytes are a token."""
    count, read, written, estimated = cost(metered, lambda: post(metered, "/v1/chat/completions", CHAT))
    assert (count, estimated) == (1, 1) and 10 <= read <= 60 and 10 <= written <= 100
    count, read, written, estimated = cost(metered, lambda: post(metered, "/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 20}))
    assert (count, estimated) == (1, 1) and 17 <= written <= 25


def test_what_costs_no_tokens_is_not_counted(metered):
    before = used(metered)
    for path, body in (("/tokenize", {"content": "one"}), ("/v1/messages/count_tokens", CHAT), ("/v1/responses/input_tokens", TEXT),
                       ("/v1/chat/completions/input_tokens", CHAT), ("/v1/chat/completions", {**CHAT, "fails": 500}),
                       ("/v1/chat/completions", {"model": "gpt"}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "w " * 9000}]})):
        post(metered, path, body)
    time.sleep(0.3)
    assert used(metered) == before


def test_who_answered_is_counted_beside_who_was_asked(metered):
    body = {**CHAT, "dies": "oracle", "accounts": True}
    assert cost(metered, lambda: post(metered, "/v1/chat/completions", body), service="executor") == [1, 5, ANSWER, 0]
    time.sleep(5)  # until the Oracle was seen in health
    body = {**CHAT, "model": "gpt-4o", "accounts": True}
    assert cost(metered, lambda: post(metered, "/v1/chat/completions", body)) == [1, 5, ANSWER, 0]


def page_of(door):
    return door.sh("python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:9180/metrics').read().decode())\"")


def test_prometheus_and_the_table_say_the_same(metered):
    page, found = page_of(metered), used(metered)
    assert len(found) >= 2
    names = ("metered_requests_total", "tokens_read_total", "tokens_written_total", "estimated_requests_total")
    for (key, model, service), figures in found.items():
        for name, figure in zip(names, figures, strict=True):
            assert 'bunker_gateway_%s{key="%s",model="%s",service="%s"} %d' % (name, key, model, service, figure) in page.splitlines()
            assert "# TYPE bunker_gateway_%s counter" % name in page.splitlines()
    assert 'bunker_gateway_tokens_per_day_limit{key="carol"} 200' in page.splitlines()
    told = json.loads(metered.sh(COMMAND + " --json"))
    assert {(row["key"], row["model"], row["service"]): [row[field] for field in ("requests", "read", "written", "estimated")]
            for row in told["rows"]} == found and told["limits"] == {"carol": 200}
    lines = metered.sh(COMMAND).splitlines()
    assert lines[0].split() == ["key", "model", "requests", "read", "written", "estimated", "today"]
    assert [line for line in lines if re.match(r"alice +oracle \(by executor\) +1 +5 +4 +0 +9$", line)]
    assert "carol: 0 of 200 tokens" in lines[-1]


def test_a_key_may_ask_the_models_that_it_is_given(metered):
    with metered.http("bob") as bob, metered.http() as alice:
        assert [model["id"] for model in bob.get("/v1/models").json()["data"]] == ["executor", "gpt-4o"]
        assert [model["id"] for model in alice.get("/v1/models").json()["data"]] == ["executor", "gpt-4o", "oracle"]
        for path in ("/v1/chat/completions", "/v1/responses"):
            answer = bob.post(path, json={"model": "oracle", **CHAT, **TEXT})
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["code"], error["param"]) == (403, "permission_error", "model_not_allowed", "model")
            assert "bob may not ask oracle" in error["message"] and "executor, gpt-4o" in error["message"]
        answer = bob.post("/v1/messages", json={"model": "oracle", **CHAT})
        assert answer.status_code == 403 and answer.json()["type"] == "error"
        assert answer.json()["error"]["type"] == "permission_error" and set(answer.json()["error"]) == {"type", "message"}
        assert bob.get("/v1/models/oracle").status_code == 403 and bob.get("/v1/models/executor").status_code == 200
        assert "Known: executor, gpt-4o." in bob.post("/v1/chat/completions", json={"model": "gpt", **CHAT}).json()["error"]["message"]
        assert bob.post("/v1/chat/completions", json={"model": "executor", **CHAT}).headers["x-bunker-service"] == "executor"
    assert re.search(r'^bunker_gateway_refused_key_total\{key="bob",reason="model"\} 4$', page_of(metered), re.MULTILINE)


def test_a_name_may_mean_another_model_for_one_key(metered):
    for key, service in (("alice", "oracle"), ("bob", "executor")):
        with metered.http(key) as client:
            answer = client.post("/v1/chat/completions", json={"model": "gpt-4o", **CHAT})
            assert (answer.status_code, answer.headers["x-bunker-service"]) == (200, service)


def test_a_key_that_has_used_its_tokens_waits_for_the_next_day(metered):
    body = {"model": "executor", **CHAT, "accounts": True, "max_tokens": 94}
    with metered.http("carol") as carol, metered.http() as alice:
        for _number in range(2):  # 5 and 95 each time
            assert carol.post("/v1/chat/completions", json=body).status_code == 200
        answer = carol.post("/v1/chat/completions", json=body)
        now = datetime.datetime.now(datetime.timezone.utc)
        left = 86400 - (now.hour * 3600 + now.minute * 60 + now.second)
        assert answer.status_code == 429 and abs(int(answer.headers["retry-after"]) - left) < 10
        assert answer.headers["x-should-retry"] == "false"
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert "carol has used 200 of its 200 tokens" in error["message"]
        answer = carol.post("/v1/messages", json=body)
        assert answer.status_code == 429 and answer.json()["error"]["type"] == "rate_limit_error" and answer.json()["type"] == "error"
        assert carol.post("/v1/embeddings", json={"model": "oracle", **TEXT}).status_code == 429  # over all models
        assert carol.post("/v1/messages/count_tokens", json={"model": "oracle", **CHAT}).status_code == 200
        assert carol.get("/v1/models").status_code == 200
        assert alice.post("/v1/chat/completions", json=body).status_code == 200
    assert 'bunker_gateway_tokens_of_the_day{key="carol"} 200' in page_of(metered).splitlines()
    assert re.search(r"carol: 200 of 200 tokens of [0-9-]+, used up$", metered.sh(COMMAND).splitlines()[-1])


def test_a_reload_and_a_restart_forget_nothing_and_a_crash_two_seconds(metered, request):
    with metered.http("carol") as carol:
        carol.post("/v1/chat/completions", json={"model": "executor", **CHAT, "accounts": True, "max_tokens": 300})
    before = used(metered)
    assert sum(figures[1] + figures[2] for (key, *_who), figures in before.items() if key == "carol") >= 200
    request.getfixturevalue("shaped")  # another configuration
    assert used(metered) == before
    time.sleep(6)  # its file is written every two seconds
    metered.restart()
    assert used(metered) == before and metered.sh("stat --format %a $(dirname {0})".format(metered.state)) == "700"
    with metered.http("carol") as carol, metered.http() as alice:
        assert carol.post("/v1/chat/completions", json={"model": "oracle", **CHAT}).status_code == 429
        assert cost(metered, lambda: alice.post("/v1/chat/completions", json={"model": "oracle", **CHAT, "accounts": True})) == [1, 5, ANSWER, 0]
    after = used(metered)
    time.sleep(6)
    metered.crash()
    assert used(metered) == after


def test_a_day_ends_and_old_days_are_one_sum(metered):
    """By what the file of an earlier start says."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    figures = {"key": "carol", "model": "oracle", "service": "oracle", "requests": 1, "read": 1000, "written": 1000, "estimated": 0}
    rows = [{"day": (today - datetime.timedelta(days=days)).isoformat(), **figures} for days in (1, 31, 32, 400)]
    metered.stop()
    metered.sh("cat > " + metered.state, stdin=json.dumps({"rows": rows}))
    metered.restart()
    with metered.http("carol") as carol:
        assert carol.post("/v1/chat/completions", json={"model": "oracle", **CHAT, "accounts": True}).status_code == 200
    ends = time.monotonic() + 8
    while "earlier" not in metered.sh("cat " + metered.state) and time.monotonic() < ends:
        time.sleep(0.5)
    found = {row["day"]: (row["requests"], row["read"]) for row in rows_of(metered)}
    assert found == {rows[0]["day"]: (1, 1000), rows[1]["day"]: (1, 1000), "earlier": (2, 2000), today.isoformat(): (1, 5)}
    assert [row["read"] for row in json.loads(metered.sh(COMMAND + " --json --days 2"))["rows"]] == [1005]
    assert json.loads(metered.sh("cat " + metered.state))["rows"][-1]["day"] == "earlier"


@pytest.mark.parametrize("text", ["{", '{"rows": [{"day": "2026-01-01"}]}', '{"rows": {"a": 1}}'])
def test_a_file_that_cannot_be_read_is_kept_and_said(metered, text):
    metered.stop()
    metered.sh("cat > %s" % metered.state, stdin=text)
    metered.restart()
    assert used(metered) == {}
    with metered.http() as client:
        assert client.post("/v1/chat/completions", json={"model": "oracle", **CHAT, "accounts": True}).status_code == 200
    metered.restart()
    assert used(metered) == {("alice", "oracle", "oracle"): [1, 5, ANSWER, 0]}
    assert metered.sh("cat %s.unreadable" % metered.state) == text and "counted from nothing" in metered.log()
    assert "no such file" not in metered.sh(COMMAND).lower()


def test_the_table_tells_what_was_left_where_the_gateway_is_down(metered):
    before = metered.sh(COMMAND + " --json")
    time.sleep(3)
    metered.stop()
    try:
        assert json.loads(metered.sh(COMMAND + " --json 2>/dev/null"))["rows"] == json.loads(before)["rows"]
        assert "does not answer" in metered.sh(COMMAND + " 2>&1")
        assert metered.sh(COMMAND + " --file /nowhere >/dev/null 2>/root/said || echo $?; grep -c nowhere /root/said").split() == ["1", "1"]
    finally:
        metered.restart()


MANY = ANSWER + 7 - 3  # words of an answer with max_tokens 7
PARAMETERS = [{"model": "executor", "defaults": {"temperature": 0.6, "stop": []}, "set": {"max_tokens": 7}, "strip": ["logit_bias", "n"]}]


@pytest.fixture(scope="module")
def shaped(metered):
    """The same door, which sets, presumes and strips what the inventory says of requests for the Executor."""
    deploy(metered, gateway_parameters=PARAMETERS)
    return metered


def heard(door, name, more=b"", model=b"executor", key="alice"):
    """What the service was sent under a name, and the words of its answer."""
    text = b'{"messages": [{"role": "user", "content": "a } ] \\" \\\\"}], "model": "%s", "hears": "%s"%s}' % (model, name.encode(), more)
    with door.http(key) as client:
        answer = client.post("/v1/chat/completions", content=text, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        return answer.json()["heard"], len(answer.json()["choices"][0]["message"]["content"].split())


@pytest.mark.parametrize("name, given, told", [
    ("temperature", b"", 0.6), ("temperature", b', "temperature": 0.1', 0.1), ("temperature", b', "temperature": null', 0.6),
    ("temperature", b', "temperature": 0', 0), ("stop", b"", []), ("stop", b', "stop": ["x", "}"]', ["x", "}"]),
    ("max_tokens", b', "max_tokens": 99', 7), ("max_tokens", b', "max_tokens": 99, "ma\\u0078_tokens": {"a": [1, 2]}', 7),
    ("n", b', "n": 5', None), ("logit_bias", b', "logit_bias": {"1": [-100, "}"]}, "n":2', None),
    # What is not named stays to the byte: an empty list, a long number, a member that only a member of it is called like.
    ("tools", b', "tools": []', []), ("seed", b', "seed": 12345678901234567', 12345678901234567),
    ("extra", b', "extra": {"n": 1, "max_tokens": 2, "logit_bias": []}', {"n": 1, "max_tokens": 2, "logit_bias": []}),
    ("messages", b"", [{"role": "user", "content": 'a } ] " \\'}]),
    ("*", b', "n": 1', ["hears", "max_tokens", "messages", "model", "stop", "temperature"])])
def test_a_request_gets_what_the_inventory_says(shaped, name, given, told):
    assert heard(shaped, name, given) == (told, MANY)


def test_a_request_of_megabytes_gets_it_too_and_one_for_another_model_stays_as_it_is(shaped):
    assert heard(shaped, "max_tokens", b', "padding": "%s"' % (b'\\"x' * 700_000)) == (7, MANY)
    assert heard(shaped, "*", b', "n": 1', b"oracle") == (["hears", "messages", "model", "n"], ANSWER)
    assert heard(shaped, "max_tokens", b"", b"gpt-4o", "bob") == (7, MANY)  # by whatever name
    assert heard(shaped, "max_tokens", b"", b"gpt-4o") == (None, ANSWER)
