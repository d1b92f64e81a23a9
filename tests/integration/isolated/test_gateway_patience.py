"""A prompt that takes minutes and a client that gives up after 60 seconds of silence, as they are: the golden image's llama-server behind the gateway.

What the gateway does with heads and comments is shown in seconds in test_gateway_clients.py and test_gateway_drain.py, with a stand-in. This shows that
llama-server sends them by itself, and that nothing between cuts a silence of minutes.
"""
import concurrent.futures
import json
import time

import httpx2
import pytest
from support import ROOT, provenance, real_services

SILENCE, READING = 60, 140  # seconds: what the client bears, and what the prompt shall take at least
PING, COMMENT = 30, 15  # seconds: llama-server's own interval, and the gateway's for those that queue
SERVICE = "executor"
RECORD = "tests/results/patience.json"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def slow(door):
    """The door, with an Executor that reads slowly, one prompt at a time."""
    real_services.bring(door)
    real_services.bring_slow_model(door)
    real_services.start(door, SERVICE, "slow.gguf", "--ctx-size", 65536, "--parallel", 1, "--batch-size", 32, "--ubatch-size", 1)
    kinds = {"oracle": "chat", "executor": "chat", "embedder": "embeddings"}
    door.deploy(gateway_fallbacks={}, bunker_services=real_services.services(**kinds)).assert_ok()
    yield door
    real_services.stop(door, SERVICE)


@pytest.fixture(scope="module")
def prompt(slow):
    """Messages that it reads for longer than READING; they differ from the first word on, so that no cache of the server shortens them."""
    def messages(words, first="w"):
        return [{"role": "user", "content": first + " " + " ".join(["word"] * words)}]

    with slow.http() as client:
        words = 10
        begun = time.monotonic()
        answer = client.post("/v1/chat/completions", timeout=300, json={"model": SERVICE, "messages": messages(words), "max_tokens": 1})
        speed = words / (time.monotonic() - begun)
        assert answer.status_code == 200, answer.text
        count = int(speed * READING * 1.15)
        assert count < 12000, "this machine is too fast for the model: %d words a second" % speed
    return lambda first: messages(count, first)


def ask(slow, messages, silence, **more):
    """The seconds at which bytes came, and the bytes."""
    heard, begun = [], time.monotonic()
    with slow.http() as client, client.stream("POST", "/v1/chat/completions", timeout=httpx2.Timeout(30, read=silence), json={
            "model": SERVICE, "messages": messages, "max_tokens": 3, **more}) as answer:
        heard.append((time.monotonic() - begun, b""))
        assert answer.status_code == 200
        for part in answer.iter_raw():
            heard.append((time.monotonic() - begun, part))
    return heard


def figures(heard):
    """Of a stream, in seconds: when the head came, the comments, the first token, and the longest silence."""
    first_token = next(moment for moment, part in heard if b'"content"' in part)
    silences = [later - before for (before, _part), (later, _more) in zip(heard, heard[1:], strict=False)]
    return {"head": round(heard[0][0], 1), "comments": [round(moment, 1) for moment, part in heard if part == b":\n\n"],
            "first_token": round(first_token, 1), "longest_silence": round(max(heard[0][0], *silences), 1)}


@pytest.fixture(scope="module")
def record():
    """What is found; written where all of it was."""
    found = {}
    yield found
    if {"a stream", "a stream that queues"} <= set(found):
        text = json.dumps({"provenance": provenance.made(RECORD), "gives_up_after": SILENCE, **found}, indent=1)
        (ROOT / RECORD).write_text(text + "\n", encoding="utf-8")


def test_a_stream_is_waited_for(slow, prompt, record):
    heard = ask(slow, prompt("a"), SILENCE, stream=True)
    found = record["a stream"] = figures(heard)
    assert found["first_token"] > 2 * SILENCE and b"".join(part for _moment, part in heard).endswith(b"data: [DONE]\n\n")
    assert found["head"] < 5 and len(found["comments"]) >= found["first_token"] // PING - 1
    assert found["longest_silence"] < PING + 5


def test_what_is_not_streamed_is_given_up_and_the_service_is_free_again(slow, prompt):
    begun = time.monotonic()
    with pytest.raises(httpx2.ReadTimeout):
        ask(slow, prompt("b"), SILENCE)
    assert SILENCE <= time.monotonic() - begun < SILENCE + 10
    ends = time.monotonic() + 20
    with slow.control() as control, slow.http() as client:
        while control.get("/services").json()[SERVICE]["in_flight"]:
            assert time.monotonic() < ends
            time.sleep(0.2)
        assert client.post("/v1/chat/completions", timeout=30, json={"model": SERVICE, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
                           ).status_code == 200


def test_a_whole_answer_is_waited_for_and_a_stream_behind_it_is_told_to_wait(slow, prompt, record):
    """The gateway cuts no silence of minutes, and says something to the second client, to whom llama-server says nothing."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(ask, slow, prompt("c"), 600)
        time.sleep(12)  # the gateway has looked how many slots there are
        heard = ask(slow, [{"role": "user", "content": "Hi"}], SILENCE, stream=True)
        answer = first.result()
    record["not streamed, a client that waits"] = {"head": round(answer[0][0], 1)}
    assert answer[0][0] > 2 * SILENCE and b'"content"' in answer[-1][1]
    found = record["a stream that queues"] = figures(heard)
    assert found["first_token"] > SILENCE and COMMENT - 1 < found["head"] < COMMENT + 3 and found["longest_silence"] < COMMENT + 3
    assert len(found["comments"]) >= found["first_token"] // COMMENT - 1
