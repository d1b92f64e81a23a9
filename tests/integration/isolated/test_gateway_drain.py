"""The door while a service is drained or restarted, and for prompts that not every service holds.

The services are tests/stand_ins/model_server.py: a token is a word, a message has two more, and what is too long for them they refuse as llama-server does.
"""
import collections
import concurrent.futures
import json
import random
import re
import socket
import threading
import time

import httpx2
import pytest
from support.gateway_host import until

ORACLE, EXECUTOR = ("oracle", "172.30.0.10:8000"), ("executor", "172.30.0.20:8002")
PATIENCE = 14  # gateway_drain_wait; shorter than that of the clients, of 20 s


def start(door, service, *more):
    door.sh("systemctl stop stand-in-{0} 2>/dev/null || true; systemctl reset-failed stand-in-{0} 2>/dev/null || true".format(service[0]))
    door.stand_in(*service, 20, *more)
    door.sh("until (exec 3<>/dev/tcp/%s) 2>/dev/null; do sleep 0.05; done" % service[1].replace(":", "/"))


def services(control):
    return dict(sorted(control.get("/services").json().items()))


def holds(control, executor, oracle):
    until(lambda: [(known["up"], known["context"]) for known in services(control).values()] == [(True, executor), (True, oracle)], 30)


@pytest.fixture(scope="module")
def control(door):
    """The control socket of a gateway with an Oracle that holds 8192 tokens and an Executor, its fallback, that holds 65536."""
    door.deploy(gateway_requests_per_minute=60000, gateway_burst=3000, gateway_drain_wait=PATIENCE).assert_ok()
    start(door, ORACLE, 8192, 400)
    start(door, EXECUTOR, 65536, 100)
    with door.control() as client:
        holds(client, 65536, 8192)
        yield client


def drain(control, name, seconds=60):
    answer = control.post("/drain", params={"service": name, "seconds": seconds})
    assert answer.status_code == 200 and 0 < answer.json()[name]["draining"] <= seconds, answer.text


def resume(control, name):
    answer = control.post("/resume", params={"service": name})
    assert answer.status_code == 200 and answer.json()[name]["draining"] == 0, answer.text


def told(answer):
    """Status, who answered and why, and the prompt's tokens."""
    return answer.status_code, answer.headers.get("x-bunker-service"), answer.headers.get("x-bunker-reason"), answer.headers.get("x-bunker-prompt-tokens")


def prompt(tokens, word="w"):
    return [{"role": "user", "content": " ".join([word] * (tokens - 2))}]


def ask(client, model, messages=None, **more):
    return client.post("/v1/chat/completions", json={"model": model, "messages": messages or [{"role": "user", "content": "Who are you?"}], **more})


def test_a_hundred_prompts_land_where_they_fit(door, control):
    """From 1000 to 64000 tokens, in words of one to eight bytes, and to the token at both borders."""
    draw = random.Random(1)
    borders = [8190, 8191, 8192, 8193, 65534, 65535]
    sizes = borders + [round(1000 * 64 ** (number / 93)) for number in range(94)]
    wanted = {tokens: "oracle" if tokens + 1 <= 8192 else "executor" for tokens in sizes}

    def land(client, tokens):
        return told(ask(client, "oracle", prompt(tokens, "w" * draw.randint(1, 8))))

    with door.http() as client, concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda tokens: land(client, tokens), sizes))
    assert len(found) == 100
    for tokens, (status, service, reason, counted) in zip(sizes, found, strict=True):
        assert (status, service, reason) == (200, wanted[tokens], "context" if wanted[tokens] == "executor" else None), tokens
        assert counted in ((str(tokens), None) if tokens < 8192 / 2 else (str(tokens),)), tokens
    assert collections.Counter(service for _status, service, *_more in found)["oracle"] > 30


def test_what_nobody_holds_is_refused_with_the_limits(door, control):
    with door.http() as client:
        for model, limits in (("oracle", {"oracle": 8192, "executor": 65536}), ("executor", {"executor": 65536})):
            answer = ask(client, model, prompt(65536))
            error = answer.json()["error"]
            assert answer.status_code == 400 and (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")
            assert error["prompt_tokens"] == 65536 and error["limits"] == limits
            assert "(65536 tokens) exceeds the available context size (65536 tokens)" in error["message"]
            assert "context_length_exceeded" in error["message"]  # langchain-openai looks there alone
            assert "65536 (counted)" in error["message"] and "Shorten it" in error["message"]
            assert all("%s holds %d" % limit in error["message"] for limit in limits.items())
        # Larger than what is counted, so estimated; no text of that many bytes has so few tokens.
        answer = ask(client, "oracle", prompt(600_000, "w" * 7))
        assert answer.status_code == 400 and "estimated" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path, field, blamed", [("chat/completions", "messages", "messages"), ("completions", "prompt", "prompt"),
                                                 ("responses", "input", "input")])
def test_each_of_openais_apis_says_what_is_too_long(door, control, path, field, blamed):
    text = " ".join(["w"] * 70_000)
    with door.http() as client:
        answer = client.post("/v1/" + path, json={"model": "executor", field: [{"role": "user", "content": text}] if field == "messages" else text})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", blamed)


def test_anthropics_clients_are_told_of_a_long_prompt_in_their_words(door, control):
    with door.http() as client:
        answer = client.post("/v1/messages", json={"model": "oracle", "max_tokens": 3, "messages": prompt(65536)})
        error = answer.json()["error"]
        assert answer.status_code == 400 and answer.json()["type"] == "error" and error["type"] == "invalid_request_error"
        assert error["message"].startswith("prompt is too long: 65536 tokens > 65535 maximum") and "oracle holds 8192" in error["message"]


@pytest.mark.parametrize("path, request_", [
    ("completions", lambda text: {"prompt": text}),
    ("chat/completions", lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}),
    ("messages", lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 3}),
    ("messages", lambda text: {"system": text, "messages": []}),
    ("responses", lambda text: {"input": text}),
    ("responses", lambda text: {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}),
])
def test_each_kind_of_prompt_is_counted(door, control, path, request_):
    with door.http() as client:
        for tokens, service in ((8191, "oracle"), (8192, "executor")):
            words = tokens - (0 if path == "completions" else 2)
            answer = client.post("/v1/" + path, json={"model": "oracle", **request_(" ".join(["w"] * words))})
            assert told(answer) == (200, service, "context" if service == "executor" else None, str(tokens))


def test_what_needs_no_counting_is_not_counted(door, control):
    with door.http() as client:
        assert told(ask(client, "oracle")) == (200, "oracle", None, None)
        assert told(ask(client, "oracle", prompt(3700))) == (200, "oracle", None, None)  # 7400 bytes and what a template adds cannot be 8192 tokens
        answer = client.post("/v1/embeddings", json={"model": "oracle", "input": "w " * 100_000})
        assert told(answer) == (200, "oracle", None, None)


@pytest.mark.parametrize("part", [[0.1] * 900, [[]] * 2000])
def test_what_is_no_text_is_weighed_too(door, control, part):
    """A template writes numbers with more digits than they had, and brackets with commas: such prompts are counted, not taken for short ones."""
    messages = [{"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "plot", "input": {"values": part}}]}]
    with door.http() as client:
        assert told(client.post("/v1/messages", json={"model": "oracle", "messages": messages}))[3] is not None


def test_what_only_the_template_knows_is_counted(door, control):
    with door.http() as client:
        assert told(ask(client, "oracle", chat_template_kwargs={"documents": "d"}))[3] is not None


def test_clients_can_know_beforehand(door, control):
    with door.http() as client:
        until(lambda: [services(control)[name]["prompt_speed"] for name in ("oracle", "executor")] == [400, 100], 30)
        listed = {model["id"]: model.get("meta") for model in client.get("/v1/models").json()["data"]}
        assert listed == {"oracle": {"n_ctx": 8192, "kind": None, "prompt_tokens_per_second": 400},
                          "executor": {"n_ctx": 65536, "kind": None, "prompt_tokens_per_second": 100}}
        answer = ask(client, "oracle", prompt(20000))
        assert answer.headers["x-bunker-expected-first-token"] == "200.0"
        assert "x-bunker-expected-first-token" not in ask(client, "executor", prompt(20000)).headers


def test_a_smaller_context_is_learned_when_the_service_comes_back(door, control):
    with door.http() as client:
        assert told(ask(client, "oracle", prompt(5000)))[1] == "oracle"
        drain(control, "oracle")
        start(door, ORACLE, 4096, 400)
        resume(control, "oracle")
        assert told(ask(client, "oracle", prompt(5000))) == (200, "executor", "context", "5000")
        # Unannounced, and quicker than any look: not later than ten seconds on.
        start(door, ORACLE, 8192, 400)
        until(lambda: services(control)["oracle"]["context"] == 8192, 30)
        assert told(ask(client, "oracle", prompt(5000)))[1] == "oracle"


def test_a_service_that_does_not_count(door, control):
    """After two seconds its fallback answers, which surely holds it; where nobody stands in, the service judges itself."""
    start(door, ORACLE, "mute")
    start(door, EXECUTOR, "mute")
    try:
        holds(control, 8192, 8192)
        with door.http() as client:
            status, service, reason, tokens = told(ask(client, "executor", prompt(5000)))
            assert (status, service, reason) == (200, "executor", None) and re.fullmatch("<=10[56]..", tokens)  # from 9995 bytes and what a template adds
            assert told(ask(client, "executor", prompt(9000)))[0] == 400
            start(door, EXECUTOR, 65536, 100)
            holds(control, 65536, 8192)
            begun = time.monotonic()
            status, service, reason, tokens = told(ask(client, "oracle", prompt(5000)))
            assert (status, service, reason) == (200, "executor", "context") and tokens.startswith("<=") and time.monotonic() - begun < 30
    finally:
        start(door, ORACLE, 8192, 400)
        start(door, EXECUTOR, 65536, 100)
        holds(control, 65536, 8192)


@pytest.mark.parametrize("service, more, other", [(ORACLE, (8192, 400), "executor"), (EXECUTOR, (65536, 100), None)])
def test_a_restart_under_load_loses_nothing(door, control, service, more, other):
    """Twenty clients ask all the time. Where somebody stands in, he answers; else they wait. Streams that run are ended first."""
    name, answers, stop = service[0], [], threading.Event()

    def work(key):
        with door.http(key) as client:
            while not stop.is_set():
                asked = time.monotonic()
                answer = ask(client, name, think=0.2)
                answers.append((asked, time.monotonic(), *told(answer)[:3]))

    def stream():
        words = 0
        for event in door.openai("bob").chat.completions.create(model=name, messages=prompt(10), stream=True, max_tokens=120):
            words += event.choices[0].delta.content.count("word")
        return words

    with concurrent.futures.ThreadPoolExecutor(26) as pool:
        try:
            streams = [pool.submit(stream) for _number in range(5)]
            asking = [pool.submit(work, ("alice", "bob")[number % 2]) for number in range(20)]
            time.sleep(1.5)
            drain(control, name)
            drained = time.monotonic()
            until(lambda: services(control)[name]["in_flight"] == 0, 30)
            idle = time.monotonic()
            door.sh("systemctl stop stand-in-{0}".format(name))
            if not other:
                until(lambda: services(control)[name]["waiting"] == 20)
            time.sleep(1)
            start(door, service, *more)
            resuming = time.monotonic()
            resume(control, name)
            resumed = time.monotonic()
            time.sleep(1.5)
        finally:
            stop.set()
        for future in asking:
            future.result()
        assert [future.result() for future in streams] == [117] * 5
    assert idle - drained > 0.5  # the streams were waited for
    assert {status for _asked, _answered, status, *_who in answers} == {200}
    meanwhile = [answer for answer in answers if drained < answer[0] < resuming - 0.3]
    assert len(meanwhile) >= 10
    if other:
        assert {answer[3:] for answer in meanwhile} == {(other, "drain")}
        assert max(answered - asked for asked, answered, *_more in answers) < 15
    else:
        assert {answer[3:] for answer in meanwhile} == {(name, None)}
        assert min(answer[1] for answer in meanwhile) > resuming
    assert {answer[3:] for answer in answers if answer[0] > resumed + 0.5} == {(name, None)}
    until(lambda: [(known["in_flight"], known["waiting"]) for known in services(control).values()] == [(0, 0)] * 2)


def test_a_drain_whose_caller_died_ends_by_itself(door, control):
    with door.http() as client:
        begun = time.monotonic()
        drain(control, "executor", 2)
        assert told(ask(client, "executor"))[:2] == (200, "executor")
        assert 1.9 < time.monotonic() - begun < 30
    assert services(control)["executor"]["draining"] == 0


def test_nobody_waits_for_ever_and_a_reload_ends_no_drain(door, control):
    """A long prompt waits for the one who holds it, too."""
    drain(control, "executor")
    with door.http() as client, concurrent.futures.ThreadPoolExecutor() as pool:
        begun = time.monotonic()
        asked = [pool.submit(ask, client, "executor"), pool.submit(ask, client, "oracle", prompt(10000))]
        until(lambda: services(control)["executor"]["waiting"] == 2)
        door.sh("systemctl reload protocol-omni-gateway")
        until(lambda: services(control)["executor"]["draining"] > 0)
        for answer in (future.result() for future in asked):
            assert answer.status_code == 503 and answer.headers["retry-after"] and answer.json()["error"]["type"] == "service_unavailable"
        assert PATIENCE - 1 < time.monotonic() - begun < 20
        assert services(control)["executor"]["draining"] > 0
        resume(control, "executor")
        resume(control, "executor")  # as often as one likes
        assert told(ask(client, "executor"))[:2] == (200, "executor")


def askers(door, request, count=5):
    """Clients that asked and may hang up."""
    body, sockets = json.dumps(request).encode(), []
    for _number in range(count):
        sockets.append(door.context.wrap_socket(socket.create_connection((door.address, door.port), timeout=10), server_hostname=door.address))
        sockets[-1].sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (
            door.keys["bob"].encode(), len(body), body))
    return sockets


def test_running_and_waiting_requests_are_counted_to_the_last(door, control):
    """Clients that hang up, a service that dies before it answers, a worker of nginx that dies."""
    question = {"model": "executor", "messages": prompt(10), "think": 30}

    def counted(kind):
        return services(control)["executor"][kind]

    for kind in ("in_flight", "waiting"):
        left = askers(door, question)
        until(lambda: counted(kind) == 5)
        for opened in left:
            opened.close()
        until(lambda: counted(kind) == 0)
        drain(control, "executor")
    resume(control, "executor")

    with door.http() as client, concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, client, "oracle", think=5, dies="oracle") for _number in range(5)]
        until(lambda: {name: known["in_flight"] for name, known in services(control).items()} == {"executor": 5, "oracle": 0})
        assert {told(future.result())[:3] for future in asked} == {(200, "executor", "down")}
        until(lambda: '"upstream":"172.30.0.10:8000, 172.30.0.20:8002"' in door.sh("journalctl --no-pager --since -30s"))

        asked = [pool.submit(ask, client, "executor", think=30) for _number in range(5)]
        until(lambda: counted("in_flight") == 5)
        door.sh("kill -KILL $(grep -l '[n]ginx: worker' /proc/[0-9]*/cmdline | cut -d / -f 3)")
        for future in asked:
            with pytest.raises(Exception, match="disconnected|closed|reset|EOF"):
                future.result()
    with door.control() as anew:  # the other's connection was that worker's
        until(lambda: services(anew)["executor"]["in_flight"] == 0)


def test_who_gives_up_after_some_silence_gets_a_stream_whose_prompt_takes_longer(door, control):
    """A client of 60 seconds and a prompt of minutes, made shorter: 4 s without a byte are too many, the prompt takes 9, comments come each second."""
    def ask_impatiently(**body):
        with door.http() as client, client.stream("POST", "/v1/chat/completions", timeout=httpx2.Timeout(20, read=4), json={
                "model": "oracle", "messages": prompt(10), **body}) as answer:
            return answer.read()
    assert ask_impatiently(stream=True, reads=9).endswith(b"data: [DONE]\n\n")
    with pytest.raises(httpx2.ReadTimeout):
        ask_impatiently(think=12)  # what is not streamed says nothing before it is whole


@pytest.mark.parametrize("path, values, words", [
    ("/drain", {"service": "kimi", "seconds": 5}, ("service=kimi", "service of the inventory", "Known: executor, oracle")),
    ("/drain", {"seconds": 5}, ("service=nil", "Known: executor, oracle")),
    ("/drain", {"service": "oracle"}, ("seconds=nil", "1 to 3600", "seconds=120")),
    ("/drain", {"service": "oracle", "seconds": "3601"}, ("seconds=3601", "1 to 3600")),
    ("/drain", {"service": "oracle", "seconds": "0x10"}, ("seconds=0x10", "1 to 3600")),
    ("/drain", {"service": "oracle", "seconds": "1e9"}, ("seconds=1e9", "1 to 3600")),
    ("/resume", {"service": "kimi"}, ("service=kimi",)),
])
def test_a_wrong_order_is_refused_with_the_remedy(door, control, path, values, words):
    answer = control.post(path, params=values)
    assert answer.status_code == 400 and all(word in answer.json()["error"]["message"] for word in words), answer.text
    assert control.get(path, params=values).status_code == 405
    assert services(control)["oracle"]["draining"] == 0


def test_it_is_measured(door, control):
    page = door.sh("python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:9180/metrics').read().decode())\"")
    for sample in (*('rerouted_total{model="oracle",service="executor",reason="%s"} [1-9]' % reason for reason in ("context", "drain", "down")),
                   'refused_context_total{model="oracle"} [1-9]',
                   'refused_context_total{model="executor"} [1-9]', 'in_flight{service="executor"} 0', 'waiting{service="executor"} 0',
                   'draining{service="oracle"} 0'):
        assert re.search("^bunker_gateway_%s" % sample.replace("{", r"\{").replace("}", r"\}"), page, re.MULTILINE), sample
    assert "reason=\"\"" not in page and "# TYPE bunker_gateway_rerouted_total counter" in page and "# TYPE bunker_gateway_in_flight gauge" in page


def test_the_control_socket_is_roots_and_outlives_a_crash(door, control):
    connect = "import os, socket; os.setgroups([]); os.setgid({0}); os.setuid({0}); s = socket.socket(socket.AF_UNIX); " \
              "print(s.connect_ex('/run/protocol-omni-gateway/control.sock'))"
    assert [door.sh('python3 -c "%s"' % connect.format(user)) for user in (0, 65534, 33)] == ["0", "13", "13"]  # EACCES
    with door.http() as client:
        assert {client.get(path).status_code for path in ("/services", "/drain", "/v1/services")} == {404}
    door.sh("systemctl kill --kill-whom=all --signal KILL protocol-omni-gateway")

    def back():
        try:
            with door.control() as client:
                return services(client)["oracle"]["up"]
        except Exception:  # noqa: BLE001 - it is starting
            return False
    until(back)
