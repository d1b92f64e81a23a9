"""The fuzzer of the gateway sees what a faulty gateway would do; without a host: answers and a door that are written here."""
import asyncio
import json
import runpy
import sys
import types

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tests" / "fuzz"))
import gateway_http  # noqa: E402
import http_answers  # noqa: E402
import http_requests  # noqa: E402

KEY = "4f" * 32


def asked(**more):
    return http_requests.Asked(b"", "right-1-1", **more)


def answer(status, body, kind="application/json", **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http_answers.Answer(status, [("content-type", kind), *headers.items()], body, False)


def error(message="No.", **more):
    return {"error": {"message": message, "type": "invalid_request_error", "code": 400, "param": None, **more}}


def test_a_seed_is_a_conversation_and_who_has_no_right_key_sends_none():
    families = set()
    for number in range(400):
        told = http_requests.Writer("1", number, KEY).conversation()
        assert told == http_requests.Writer("1", number, KEY).conversation()
        families |= {one.family for one in told}
        for one in told:
            assert one.right or (b"right-%d-" % number) not in one.raw, one.family
            assert not one.served or one.right and (one.mark.encode() in one.raw or one.family == "in_chunks"), one.family
        assert not any(one.unsure for one in told[:-1])
    assert families == {family.__name__ for family in http_requests.CALM + http_requests.WILD}


@pytest.mark.parametrize("data, status, body, rest", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP", 200, b"{}", b"HTTP"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n\n\r\n0\r\n\r\nX", 200, b"{}\n", b"X"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nX", 204, b"", b"X"),
])
def test_answers_are_read_to_their_end(data, status, body, rest):
    found, at = http_answers.read(data, 0, asked(), False)
    assert (found.status, found.body, data[at:]) == (status, body, rest)
    for end in range(len(data) - len(rest)):
        assert http_answers.read(data[:end], 0, asked(), False) is None


@pytest.mark.parametrize("data", [b"HTTP/1.1 2 OK\r\n\r\n", b"{}\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                  b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"])
def test_what_is_no_answer_is_told(data):
    with pytest.raises(http_answers.Unreadable):
        http_answers.read(data, 0, asked(), True)


@pytest.mark.parametrize("question, given, word", [
    (asked(served=True), answer(200, {"mark": "right-1-1"}), ""),
    (asked(served=True), answer(200, {"mark": "right-1-2"}), "not served its own"),
    (asked(served=True), answer(400, error()), "not served its own"),
    (asked(), answer(200, {"mark": "right-2-1"}), "another's answer"),
    (asked(), answer(400, error()), ""),
    (asked(), answer(400, error(message="")), "without a message"),
    (asked(), answer(400, {"error": {"message": "No."}}), "without code"),
    (asked(), answer(400, error(type="odd")), "unknown type"),
    (asked(), answer(400, error(), kind="text/html"), "of the type"),
    (asked(), answer(400, b'{"error":{"message":"\xff"}}'), "no JSON"),
    (asked(api="messages"), answer(400, error()), "another API"),
    (asked(api="openai"), answer(400, {"type": "error", **error()}), "another API"),
    (asked(api="messages"), answer(400, {"type": "error", **error()}), ""),
    (asked(), answer(500, error(type="server_error")), "500 without a reason"),
    (asked(ordered=500), answer(500, error("It was ordered. right-1-1", type="server_error")), ""),
    (asked(ordered=500), answer(502, error("right-1-1")), "not the error that was ordered"),
    (asked(ordered=500), answer(500, error("right-1-2")), "not the error that was ordered"),
    (asked(), answer(418, error()), "not ours"),
    (asked(right=False), answer(403, error()), "not ours"),
    (asked(right=False), answer(401, error()), ""),
    (asked(right=False), answer(200, {}), "answered without a right key"),
    (asked(right=False, open=True), answer(200, {"status": "ok"}), ""),
    (asked(right=False, open=True), answer(200, {"mark": "wrong-1-1"}), "served without a right key"),
    (asked(right=False, open=True), answer(200, {}, **{"x-bunker-service": "oracle"}), "served without a right key"),
    (asked(right=False, open=True), answer(200, b'{"object":"list"}'), "models told"),
    (asked(), answer(400, error("stack traceback: x")), "inside"),
    (asked(), answer(400, error("/etc/x")), "inside"),
    (asked(), answer(400, error("The key is " + KEY)), "tells a key"),
    (asked(), answer(400, error(), **{"x-a": KEY}), "tells a key"),
    (asked(), http_answers.Answer(0, [], json.dumps(error()).encode(), True), "no head"),
    (asked(bare=True), http_answers.Answer(0, [], json.dumps(error()).encode(), True), ""),
    (asked(bare=True), http_answers.Answer(0, [], b"{}", True), "without a message"),
])
def test_an_answer_is_judged(question, given, word):
    said = http_answers.judge(question, given, [KEY])
    assert (word in said) if word else said == "", said


def of_door(answers):
    """Faults of one conversation with a door that gives these answers and closes."""
    async def talk():
        async def serve(reader, writer):
            await reader.read(1)
            writer.write(answers)
            await writer.drain()
            writer.close()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            door = types.SimpleNamespace(address="127.0.0.1", port=server.sockets[0].getsockname()[1], key=KEY, keys=[KEY])
            held = gateway_http.Conversation(door, "1", 1)
            held.asked = [http_requests.Asked(b"a", "right-1-1"), http_requests.Asked(b"b", "right-1-2", unsure=True)]
            await held.hold(None)
            return held.faults
    return asyncio.run(talk())


SAID = b"HTTP/1.1 %s x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
REFUSAL, SERVED = json.dumps(error()).encode(), b'{"mark":"right-1-1"}'
NO, YES = SAID % (b"400", len(REFUSAL), REFUSAL), SAID % (b"200", len(SERVED), SERVED)


@pytest.mark.parametrize("answers, word", [
    (YES + NO, ""), (YES + NO + NO, ""), (NO, ""), (YES + YES, "another's answer"),
    (YES + NO + YES, "behind it: served without a right key"), (b"", "closed without an answer"),
    (YES + NO + b"x", "behind it"), (NO[:-20], "closed without an answer")])
def test_a_conversation_is_judged(answers, word):
    faults = of_door(answers)
    assert (len(faults) == 1 and word in faults[0]) if word else not faults, faults


@pytest.mark.parametrize("line, headers, body, word", [
    (("POST", "/v1/completions", "HTTP/1.1"), [("host", "a")], b'{"user": "right-1-1"}', ""),
    (("POST", "/v1/completions", "HTTP/1.0"), [], b'{"user": "right-1-1"}', "request line"),
    (("GET", "/slots", "HTTP/1.1"), [], b"", "request line"),
    (("POST", "/v1/completions", "HTTP/1.1"), [("authorization", "a")], b'{"user": "right-1-1"}', "headers"),
    (("POST", "/v1/completions", "HTTP/1.1"), [("host", "a"), ("host", "b")], b'{"user": "right-1-1"}', "headers"),
    (("POST", "/v1/completions", "HTTP/1.1"), [], b'{"user": "wrong-1-1"}', "no right key"),
    (("POST", "/v1/completions", "HTTP/1.1"), [], b'{"user": "right-1-1", "x": "hidden-1-2"}', "no right key"),
    (("POST", "/v1/completions", "HTTP/1.1"), [], b"{}", "without a mark"),
    (("POST", "/v1/completions", "HTTP/1.1"), [], b'["right-1-1"]', "no object"),
])
def test_the_recording_service_sees_what_should_not_have_come(line, headers, body, word, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recording_server.py", "127.0.0.1:1", "oracle"])
    server = runpy.run_path(str(ROOT / "tests" / "stand_ins" / "recording_server.py"))
    said = server["problem_of"](*line, headers, body)
    assert (word in said) if word else said == "", said
