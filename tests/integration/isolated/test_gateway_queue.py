"""A stream for which its service has no slot free: it is told to wait, by a head and comments, where llama-server itself says nothing.

The Oracle is tests/stand_ins/model_server.py with one slot. Without these comments a client that gives up after four seconds of silence gets nothing.
"""
import concurrent.futures
import contextlib
import json
import re
import socket
import time

import httpx2
import openai
import pytest

ADDRESS = "172.30.0.10:8000"
QUESTION = [{"role": "user", "content": "Who are you?"}]
PATHS = ["/v1/chat/completions", "/v1/messages", "/v1/responses"]
QUIET = httpx2.Timeout(20, read=4)


def start(door):
    door.sh("for unit in stand-in-oracle; do systemctl stop $unit 2>/dev/null || true; systemctl reset-failed $unit 2>/dev/null || true; done")
    door.stand_in("oracle", ADDRESS, 20, 8192, 400, 1)
    door.sh("until (exec 3<>/dev/tcp/%s) 2>/dev/null; do sleep 0.05; done" % ADDRESS.replace(":", "/"))
    with door.control() as control:
        for order in ("/drain", "/resume"):  # what it holds and how many it answers is learned at once
            control.post(order, params={"service": "oracle", "seconds": 5})
        settled(control, 0)


def settled(control, count):
    ends = time.monotonic() + 15
    while control.get("/services").json()["oracle"]["in_flight"] != count:
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.fixture(scope="module")
def queued(door):
    door.deploy(gateway_requests_per_minute=60000, gateway_burst=3000, gateway_comment_interval=1).assert_ok()
    start(door)
    yield door
    door.sh("systemctl stop stand-in-oracle; systemctl reset-failed stand-in-oracle 2>/dev/null || true")
    door.stand_in("oracle", ADDRESS, 20)


@contextlib.contextmanager
def taken(door, seconds):
    """Somebody has the one slot for so long."""
    def hold():
        with door.http("bob") as client:
            return client.post("/v1/chat/completions", json={"model": "oracle", "messages": QUESTION, "think": seconds}).status_code

    with concurrent.futures.ThreadPoolExecutor() as pool, door.control() as control:
        settled(control, 0)
        holder = pool.submit(hold)
        settled(control, 1)
        yield control
        assert holder.result() in (200, 502)


def heard(door, path, **order):
    """What a client with little patience gets: when it had the head, the answer's headers, its pieces with their times."""
    begun, parts = time.monotonic(), []
    with door.http() as client, client.stream("POST", path, timeout=QUIET, json={
            "model": "oracle", "messages": QUESTION, "prompt": "Who?", "input": "Who?", "stream": True, "max_tokens": 6, **order}) as answer:
        head = time.monotonic() - begun
        try:
            for part in answer.iter_raw():
                parts.append((time.monotonic() - begun, part))
        except httpx2.RemoteProtocolError:
            pass  # the connection of a broken stream is cut behind its last event
    return head, answer, parts


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_queues_has_a_head_and_comments_until_its_turn(queued, path):
    with taken(queued, 7):
        head, answer, parts = heard(queued, path)
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/event-stream" and answer.headers["x-bunker-service"] == "oracle"
    comments = [moment for moment, part in parts if part == b":\n\n"]
    first = min(moment for moment, part in parts if b"data:" in part)
    # One a second; two that a busy machine hands over at once are one part.
    assert 0.7 < head < first - 2 and 3 <= len(comments) <= 7 and first > 5.5
    whole = b"".join(part for _moment, part in parts)
    assert whole.count(b"data:") == 8 and whole.count(b"word") == 3, whole  # its name, that it heard no key, three words, its end
    assert {"/v1/messages": b"message_stop", "/v1/responses": b"response.completed"}.get(path, b"[DONE]") in whole.split(b"\n\n")[-2]


def test_whoever_finds_a_slot_is_not_touched(queued):
    begun = queued.sh("date '+%F %T.%6N'")
    head, answer, _parts = heard(queued, PATHS[0])
    assert answer.status_code == 200 and head < 0.7
    assert [json.loads(line)["upstream"] for line in queued.journal(begun, "bunker_gateway")] == [ADDRESS]


def test_an_error_before_the_head_has_its_status(queued):
    with taken(queued, 0.3):
        _head, answer, parts = heard(queued, "/v1/messages", fails=500)
    assert (answer.status_code, json.loads(parts[0][1])) == (500, {"type": "error", "error": {"type": "api_error", "message": "It was ordered."}})


@pytest.mark.parametrize("path", PATHS)
def test_an_error_behind_the_head_is_the_last_event(queued, path):
    with taken(queued, 4):
        _head, answer, parts = heard(queued, path, fails=500)
    assert answer.status_code == 200
    *comments, last = b"".join(part for _moment, part in parts).split(b"\n\n")[:-1]
    *before, data = last.decode().splitlines()
    assert set(comments) == {b":"} and before == ([] if path == PATHS[0] else ["event: error"])
    assert json.loads(data.removeprefix("data: "))["error"]["message"] == "It was ordered."


def test_a_stream_that_queued_and_broke_says_so(queued):
    with taken(queued, 4):
        _head, _answer, parts = heard(queued, PATHS[0], breaks=3)
    *before, last = b"".join(part for _moment, part in parts).decode().strip().split("\n\n")
    assert len([one for one in before if one.startswith("data:")]) == 3
    assert json.loads(last.strip().removeprefix("data: "))["error"]["message"] == "oracle stopped in the middle of its answer. Ask again."


def test_openais_client_waits_in_the_queue_and_raises_where_its_service_dies_meanwhile(queued):
    client = openai.OpenAI(base_url=queued.url + "/v1", api_key=queued.keys["alice"], max_retries=0,
                           http_client=httpx2.Client(verify=queued.context, timeout=QUIET))
    order = {"model": "oracle", "messages": QUESTION, "stream": True, "max_tokens": 6}
    with taken(queued, 7):
        assert len(list(client.chat.completions.create(**order))) == 7
    with taken(queued, 15), pytest.raises(openai.APIError, match="oracle stopped in the middle of its answer"):
        stream = client.chat.completions.create(**order)
        queued.sh("systemctl kill --signal=KILL stand-in-oracle")
        list(stream)
    start(queued)


def spent(door, field="written"):
    with door.control() as control:
        return sum(row[field] for row in control.get("/usage").json()["rows"] if row["key"] == "alice")


def interrupted(door):
    page = door.sh("python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:9180/metrics').read().decode())\"")
    return sum(int(value) for value in re.findall(r'bunker_gateway_streams_interrupted_total\{model="oracle",[^}]*\} ([0-9]+)', page))


@pytest.mark.parametrize("order, broke", [({"fails": 400, "overflows": 5}, 0), ({"fails": 500}, 1)], ids=["the client's", "the service's"])
def test_an_error_behind_the_head_costs_nothing_and_counts_as_a_break_where_the_service_failed(queued, order, broke):
    before, breaks = spent(queued), interrupted(queued)
    with taken(queued, 4):
        _head, _answer, parts = heard(queued, PATHS[0], **order)
    assert b'"error"' in parts[-1][1] and (spent(queued), interrupted(queued)) == (before, breaks + broke)


def test_who_leaves_the_queue_is_not_counted_and_who_stays_is_metered(queued):
    before, requests = spent(queued), spent(queued, "requests")
    with taken(queued, 8) as control:
        with contextlib.suppress(httpx2.ReadTimeout), queued.http() as client:
            client.post(PATHS[0], timeout=httpx2.Timeout(20, read=0.5), json={"model": "oracle", "messages": QUESTION, "stream": True})
        settled(control, 1)
        assert spent(queued, "requests") == requests
        _head, _answer, parts = heard(queued, PATHS[0], accounts=True)
    assert b"[DONE]" in parts[-1][1]
    assert 6 <= spent(queued) - before <= 9 and spent(queued, "requests") == requests + 1


def farewell(door, seconds):
    """Asks for a stream, and after so many seconds leaves as most clients do: it says so in TLS, and does not wait for the gateway's farewell."""
    body = json.dumps({"model": "oracle", "messages": QUESTION, "stream": True}).encode()
    opened = door.context.wrap_socket(socket.create_connection((door.address, door.port), timeout=10), server_hostname=door.address)
    opened.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (
        PATHS[0].encode(), door.keys["alice"].encode(), len(body), body))
    time.sleep(seconds)
    opened.settimeout(0.01)
    with contextlib.suppress(OSError):
        opened.unwrap()
    opened.close()


def statuses(door, begun):
    return [line["status"] for line in map(json.loads, door.journal(begun, "bunker_gateway", wanted=lambda line: json.loads(line).get("key") == "alice"))]


def test_who_says_farewell_in_the_queue_is_let_go_before_anything_is_sent(queued):
    begun = queued.sh("date '+%F %T.%6N'")
    with taken(queued, 3) as control:
        farewell(queued, 0.4)
        settled(control, 1)
    assert statuses(queued, begun) == [499]


def test_who_says_farewell_while_a_service_is_drained_waits_no_more(queued):
    begun = queued.sh("date '+%F %T.%6N'")
    with queued.control() as control:
        for name in ("oracle", "executor"):
            control.post("/drain", params={"service": name, "seconds": 20})
        try:
            farewell(queued, 0.6)
            ends = time.monotonic() + 5
            while control.get("/services").json()["oracle"]["waiting"]:
                assert time.monotonic() < ends
                time.sleep(0.05)
            assert control.get("/services").json()["oracle"]["draining"] > 5
        finally:
            for name in ("oracle", "executor"):
                control.post("/resume", params={"service": name})
    assert statuses(queued, begun) == [499]


def test_a_service_that_loads_again_when_its_turn_comes_has_its_fallback(queued):
    """Last: the gateway takes it as down then, until it looks again. The stand-in of the Executor fails as it was told, too."""
    with taken(queued, 0.3):
        _head, answer, _parts = heard(queued, PATHS[0], fails=503)
    assert (answer.status_code, answer.headers["x-bunker-service"], answer.headers["x-bunker-reason"]) == (503, "executor", "down")
