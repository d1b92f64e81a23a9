"""The one door, with stand-ins behind it: who gets in, who answers, what breaks and what that looks like.

The services here are tests/stand_ins/model_server.py, because 200 streams at once need no model; site/test_gateway_in_front.py asks the real ones.
"""
import concurrent.futures
import json
import re
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time

import openai
import pytest
import yaml
from support import ROOT
from support.gateway_host import Door, hashed, until

FOLDER, ADDRESS, PORT, URL = Door.config, Door.address, Door.port, Door.url
PROGRAMS = {path.name for path in (ROOT / "roles/gateway/files").iterdir() if path.suffix in (".lua", ".html")}
QUESTION = [{"role": "user", "content": "Who are you?"}]


def chat(client, model, **options):
    """The status and body of an answer, and who gave it."""
    answer = client.post("/v1/chat/completions", json={"model": model, "messages": QUESTION, **options})
    return answer.status_code, answer.json(), answer.headers.get("x-bunker-service")


def half_open(count, begun):
    """Connections that say a little of a request and no more."""
    sockets = []
    for _number in range(count):
        opened = socket.create_connection((ADDRESS, PORT), timeout=10)
        if begun:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            opened = context.wrap_socket(opened)
            opened.sendall(begun)
        sockets.append(opened)
    return sockets


@pytest.fixture(scope="module")
def idlers(door):
    """Slow and silent clients, from the first test to the last: 100 that said nothing, 50 in their headers, 50 in their bodies."""
    heads = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % door.keys["bob"].encode()
    kinds = {"silent": half_open(100, b""), "headers": half_open(50, heads), "body": half_open(50, heads + b"Content-Length: 1000\r\n\r\n{")}
    yield time.monotonic(), kinds
    for sockets in kinds.values():
        for opened in sockets:
            opened.close()


def test_two_services_answer_through_one_door(door, idlers):
    with door.http() as client:
        for name in ("oracle", "executor"):
            status, body, service = chat(client, name)
            assert (status, service) == (200, name)
            # The client's key does not go further than the gateway.
            assert body["choices"][0]["message"]["content"] == "%s heard no key" % name
    assert {model.id for model in door.openai().models.list()} == {"oracle", "executor"}


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer"}, {"X-Api-Key": ""}, {"Authorization": "Bearer " + "0" * 64}, {"Authorization": "Basic YTpi"}, {"X-Api-Key": "wrong"}])
def test_nobody_gets_in_without_a_key(door, headers):
    with door.http(key=None, headers=headers) as client:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/nothing")):
            answer = client.request(method, path, json={"model": "oracle", "messages": QUESTION} if method == "POST" else None)
            assert answer.status_code == 401, (path, answer.text)
            assert answer.json()["error"]["type"] == "authentication_error"


def test_a_hash_of_a_key_is_no_key(door):
    with door.http(key=None, headers={"Authorization": "Bearer " + hashed(door.keys["alice"])}) as client:
        assert client.get("/v1/models").status_code == 401


def test_a_revoked_key_is_refused_from_the_next_run_on(door):
    with door.http("bob") as bob, door.http("alice") as alice:
        assert bob.get("/v1/models").status_code == 200
        door.deploy(holders=["alice", "carol"]).assert_ok()
        assert bob.get("/v1/models").status_code == 401
        assert alice.get("/v1/models").status_code == 200
        # A run that stopped before the reload leaves files that the next one does not change; what is loaded counts.
        written = door.sh("cat %s/routes.json" % FOLDER)
        door.deploy().assert_ok()
        assert bob.get("/v1/models").status_code == 200
        door.sh("cat > %s/routes.json" % FOLDER, stdin=written + "\n")
        assert "Write the gateway" not in door.deploy(holders=["alice", "carol"]).assert_ok().changed
        assert bob.get("/v1/models").status_code == 401
        door.deploy().assert_ok()
        assert bob.get("/v1/models").status_code == 200


@pytest.mark.parametrize("request_, status, word", [
    (dict(method="POST", url="/v1/chat/completions", content=b"{"), 400, "not a JSON object"),
    (dict(method="POST", url="/v1/chat/completions", content=b"[1]"), 400, "not a JSON object"),
    (dict(method="POST", url="/v1/chat/completions", json={"messages": QUESTION}), 404, "Known: executor, oracle"),
    (dict(method="POST", url="/v1/chat/completions", json={"model": "gpt", "messages": QUESTION}), 404, "Known: executor, oracle"),
    (dict(method="GET", url="/v1/chat/completions"), 405, "POST"),
    (dict(method="POST", url="/v1/slots", json={}), 404, "No such path"),
    (dict(method="GET", url="/slots"), 404, "/v1 only"),
    (dict(method="GET", url="/"), 404, "/v1 only"),
])
def test_what_is_not_understood_is_said(door, request_, status, word):
    with door.http() as client:
        answer = client.request(**request_)
        assert (answer.status_code, word in answer.json()["error"]["message"]) == (status, True), answer.text


@pytest.mark.parametrize("condition", [{"If-Match": '"x"'}, {"If-None-Match": "*"}, {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}])
def test_a_condition_on_a_version_changes_nothing_where_there_are_none(door, condition):
    with door.http() as client:
        for path in ("/health", "/v1/models", "/v1/models/oracle"):
            answer = client.get(path, headers=condition)
            assert (answer.status_code, answer.headers.get("content-type")) == (200, "application/json"), path
            assert answer.json()


def test_a_body_of_ten_megabytes_passes_and_one_over_the_limit_does_not(door):
    with door.http() as client:
        status, body, _service = chat(client, "oracle", padding="x" * 10_000_000)
        assert status == 200 and body["body_bytes"] > 10_000_000
        refused = client.post("/v1/chat/completions", content=b" " * (17 * 1024 * 1024))
        assert refused.status_code == 413 and "16m" in refused.json()["error"]["message"]


@pytest.fixture(scope="module")
def providers(door):
    """The reference host's three providers, switched on, each with a stand-in for its server and a key of its own."""
    inventory = yaml.safe_load((ROOT / "inventory/omni_prime/group_vars/all/bunker.yml").read_text(encoding="utf-8"))
    named = inventory["gateway_providers"]
    assert len(named) == 3 and not any(provider["enabled"] for provider in named)
    switched = []
    for number, provider in enumerate(named):
        name = provider["name"]
        door.provider_keys[name] = secrets.token_hex(20)
        door.stand_in(name, "127.0.0.1:%d" % (9001 + number), 100)
        door.sh("install -m 0600 /dev/stdin /root/%s.key" % name, stdin=door.provider_keys[name] + "\n")
        switched.append(dict(provider, enabled=True, url="http://127.0.0.1:%d/v1" % (9001 + number), key_file="/root/%s.key" % name))
    door.deploy(gateway_providers=switched, gateway_failsafes={"oracle": switched[0]["name"]}).assert_ok()
    return switched


def test_each_provider_of_the_reference_host_answers_by_its_name_and_gets_its_own_key(door, providers):
    with door.http() as client:
        for provider in providers:
            name = provider["name"]
            status, body, service = chat(client, name)
            assert (status, service) == (200, name)
            assert body["choices"][0]["message"]["content"] == "%s heard %s" % (name, hashed(door.provider_keys[name]))
    assert len({model.id for model in door.openai().models.list()}) == 5


def test_a_providers_key_that_others_can_read_is_refused_before_anything_changes(door, providers):
    door.sh("chmod 644 /root/%s.key" % providers[0]["name"])
    refused = door.deploy(gateway_providers=providers)
    door.sh("chmod 600 /root/%s.key" % providers[0]["name"])
    assert refused.rc != 0 and refused.changed == set()
    assert "/root/%s.key has mode 0644" % providers[0]["name"] in refused.failures[-1] and "chmod 600" in refused.failures[-1]


def how_a_stream_ends(client, model, tokens, begun=None):
    """Reads a stream with the client of OpenAI: "whole" or its error. A semaphore is told of its first event."""
    try:
        for number, _event in enumerate(client.chat.completions.create(model=model, messages=QUESTION, stream=True, max_tokens=tokens)):
            if begun and not number:
                begun.release()
        return "whole"
    except openai.APIError as error:
        return str(error)


def metrics(door):
    """What Prometheus reads of the gateway."""
    return door.sh("python3 -c \"import urllib.request as r; print(r.urlopen('http://127.0.0.1:9180/metrics').read().decode())\"")


def broken_streams(door):
    """How many streams of the oracle broke since the gateway started."""
    found = re.search(r'bunker_gateway_streams_interrupted_total\{model="oracle",service="oracle"\} (\d+)', metrics(door))
    return int(found.group(1)) if found else 0


def test_a_killed_service_under_load(door, idlers):
    """Started streams end with an error, new requests go to the fallback and none fails, the service comes back."""
    answers, stop, broken, first = [], threading.Event(), broken_streams(door), threading.Semaphore(0)

    def ask():
        with door.http("operator") as client:
            while not stop.is_set():
                asked = time.monotonic()
                status, _body, service = chat(client, "oracle")
                answers.append((asked, time.monotonic() - asked, status, service))
                time.sleep(0.2)

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        try:
            begun = [pool.submit(how_a_stream_ends, door.openai("bob"), "oracle", 600, first) for _number in range(20)]
            asking = [pool.submit(ask) for _number in range(4)]
            assert all(first.acquire(timeout=60) for _number in range(20))
            time.sleep(2)
            killed = time.monotonic()
            door.sh("systemctl kill --signal KILL stand-in-oracle")
            gone = time.monotonic()
            ends = [future.result() for future in begun]
            until(lambda: sum(answer[0] > gone + 0.1 for answer in list(answers)) > 50, 60)
            down = time.monotonic()
            door.sh("systemctl reset-failed stand-in-oracle || true")
            door.stand_in("oracle", "172.30.0.10:8000")
            until(lambda: answers[-1][3] == "oracle", 60)
        finally:
            stop.set()
        for future in asking:
            future.result()
    assert set(ends) == {"oracle stopped in the middle of its answer. Ask again."}
    assert broken_streams(door) - broken == 20
    assert {service for asked, _took, _status, service in answers if asked < killed - 1} == {"oracle"}
    meanwhile = [answer for answer in answers if gone + 0.1 < answer[0] < down]
    assert len(meanwhile) > 50 and {answer[2:] for answer in meanwhile} == {(200, "executor")}
    assert max(answer[1] for answer in answers if answer[0] < down) < 15
    assert {answer[2] for answer in answers} == {200}
    assert answers[-1][3] == "oracle"


def test_a_service_without_a_fallback_that_is_down_is_said_at_once(door):
    door.sh("systemctl stop stand-in-executor")
    try:
        with door.http() as client:
            begun = time.monotonic()
            status, body, _service = chat(client, "executor")
            assert status == 502 and body["error"]["type"] == "service_unavailable"
            assert time.monotonic() - begun < 5
    finally:
        door.stand_in("executor", "172.30.0.20:8002")


def test_where_nobody_here_can_a_provider_answers_and_is_named(door, providers):
    name = providers[0]["name"]
    door.sh("systemctl stop stand-in-oracle stand-in-executor")
    try:
        time.sleep(3)  # health is asked every second
        with door.http() as client:
            # A cookie that a browser has of another program on this host goes to nobody.
            answer = client.post("/v1/chat/completions", json={"model": "oracle", "messages": QUESTION, "hears": "model"}, headers={"Cookie": "session=1"})
            assert (answer.status_code, answer.headers["x-bunker-service"], answer.headers["x-bunker-reason"]) == (200, name, "down")
            body = answer.json()
            assert body["heard"] == name and body["choices"][0]["message"]["content"] == "%s heard %s" % (name, hashed(door.provider_keys[name]))
            assert chat(client, "executor")[0] == 502  # it has no failsafe
            told = {"Anthropic-Version": "2023-06-01", "Anthropic-Beta": "files", "Accept": "application/json"}
            kept = {"X-Api-Key": "sk-1", "Cookie": "session=1", "Forwarded": "for=192.0.2.1", "X-Forwarded-For": "192.0.2.1",
                    "Proxy-Authorization": "Basic YTpi", "Referer": "https://wiki.example/", "OpenAI-Organization": "org-1",
                    "X-Stainless-OS": "Linux", "From": "someone@example.org"}
            answer = client.post("/v1/chat/completions", json={"model": "oracle", "messages": QUESTION, "hears": "headers"}, headers={**told, **kept})
            heard = answer.json()["heard"]
            assert set(heard) == {*map(str.lower, told), "authorization", "connection", "content-length", "content-type", "host", "user-agent"}, heard
            assert {name: heard[name.lower()] for name in told} == told and heard["content-type"] == "application/json"
            assert heard["authorization"] == "Bearer " + door.provider_keys[name]
            # What the gateway says to llama-server besides would be refused there.
            schema = {"format": {"type": "json_schema", "name": "thing", "schema": {"type": "object"}}}
            answer = client.post("/v1/responses", json={"model": "oracle", "input": "Who?", "text": schema, "hears": "*"})
            assert (answer.headers["x-bunker-service"], answer.json()["heard"]) == (name, ["hears", "input", "model", "text"])
            tools, choice = [{"type": "function", "name": one} for one in "ab"], {"type": "function", "name": "b"}
            for hears, value in (("tools", tools), ("tool_choice", choice)):
                answer = client.post("/v1/responses", json={"model": "oracle", "input": "Who?", "tools": tools, "tool_choice": choice, "hears": hears})
                assert (answer.headers["x-bunker-service"], answer.json()["heard"]) == (name, value)
    finally:
        door.stand_in("oracle", "172.30.0.10:8000")
        door.stand_in("executor", "172.30.0.20:8002")
        time.sleep(3)


def streams(door, clients, seconds, tokens):
    """Streams of 5 tokens a second, by the script that anyone can run."""
    key = door.folder / "bob.key"
    key.write_text(door.keys["bob"], encoding="ascii")
    done = subprocess.run([sys.executable, str(ROOT / "tests/bench/gateway_streams.py"), URL + "/v1", "--model", "oracle", "--key-file", str(key),
                           "--certificate", door.certificate, "--clients", str(clients), "--seconds", str(seconds), "--tokens", str(tokens)],
                          capture_output=True, text=True, check=True)
    print(done.stdout)
    found = json.loads(done.stdout)
    assert found["broken"] == 0, found
    assert found["events"] >= tokens * found["streams"]
    return found["streams"]


def test_two_hundred_streams_at_once(door, idlers):
    assert streams(door, 200, 15, 100) == 200


@pytest.mark.full
def test_two_hundred_streams_for_five_minutes(door):
    assert streams(door, 200, 300, 150) >= 200 * 300 / 45


def test_a_reload_breaks_no_stream(door, providers):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = pool.submit(streams, door, 50, 1, 75)
        time.sleep(3)
        door.deploy(gateway_providers=providers, gateway_burst=301).assert_ok()
        assert found.result() == 50


@pytest.fixture(scope="module")
def strict(door):
    """Other limits than the default, and a web page that may ask."""
    door.deploy(gateway_burst=5, gateway_requests_per_minute=60, gateway_cors_origins=["https://chat.example.com"]).assert_ok()


def test_a_key_that_asks_too_much_is_told_to_wait_and_others_are_not(door, strict):
    with door.http("carol") as carol, door.http("alice") as alice:
        found = [carol.post("/v1/chat/completions", json={"model": "oracle", "messages": QUESTION}) for _number in range(20)]
        statuses = [answer.status_code for answer in found]
        assert set(statuses) == {200, 429} and statuses[:5] == [200] * 5
        limited = next(answer for answer in found if answer.status_code == 429)
        assert limited.headers["retry-after"] and limited.json()["error"]["type"] == "rate_limit_error"
        limited = [carol.post("/v1/messages", json={"model": "oracle", "messages": QUESTION}) for _number in range(10)][-1]
        assert limited.status_code == 429 and limited.json()["type"] == "error" and limited.json()["error"]["type"] == "rate_limit_error"
        assert chat(alice, "oracle")[0] == 200


def test_a_foreign_web_page_may_not_ask_and_a_named_one_may(door, strict):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with door.http(key=None) as client:
        for origin, allowed in (("https://evil.example", None), ("https://chat.example.com", "https://chat.example.com")):
            answer = client.options("/v1/chat/completions", headers={"Origin": origin, **asked})
            assert answer.headers.get("access-control-allow-origin") == allowed


def test_a_certificate_of_yours_is_served_and_its_renewal_too(door):
    """Given by a link and readable by root alone, as ACME clients leave it."""
    make = ("umask 077; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s "
            "-addext subjectAltName=IP:%s -keyout /root/live.key -out /root/live.pem 2>/dev/null; "
            "ln -sf live.key /root/linked.key; ln -sf live.pem /root/linked.pem")
    given = {"gateway_tls": "files", "gateway_tls_certificate": "/root/linked.pem", "gateway_tls_key": "/root/linked.key"}
    for name in ("first", "renewed"):
        door.sh(make % (name, ADDRESS))
        door.deploy(**given).assert_ok()
        served = ssl.get_server_certificate((ADDRESS, PORT))
        assert served.split() == door.sh("cat /root/live.pem").split()
    door.deploy().assert_ok()
    assert door.sh("ls %s/given" % FOLDER) == ""


def test_metrics_are_for_this_host_alone_and_count(door):
    page = metrics(door)
    for line in page.strip().splitlines():  # Prometheus' text format: comments, or a sample
        assert re.fullmatch(r'# TYPE [a-z_]+ (counter|gauge|histogram)|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+]+', line), line
    assert 'bunker_gateway_service_up{service="oracle"} 1' in page
    assert re.search(r'bunker_gateway_requests_total\{model="oracle",service="executor",status="200"\} [1-9]', page)
    assert re.search(r'bunker_gateway_requests_total\{model="none",service="",status="429"\} [1-9]', page)
    assert re.search(r'bunker_gateway_requests_total\{model="executor",service="executor",status="502"\} [1-9]', page)
    with pytest.raises(OSError):
        socket.create_connection((ADDRESS, 9180), timeout=2)


def test_slow_clients_are_let_go(door, idlers):
    """All of them kept nobody else waiting in the tests between; after 30 s of silence each is closed."""
    begun, kinds = idlers
    time.sleep(max(0, begun + 40 - time.monotonic()))
    for kind, sockets in kinds.items():
        for opened in sockets:
            opened.settimeout(5)
            try:
                left = opened.recv(65536)
                while left:
                    left = opened.recv(65536)
            except ConnectionResetError:
                pass
            except TimeoutError:
                pytest.fail("a client that is %s is still connected" % kind)


def test_no_secret_shows(door, providers):
    """Neither in arguments and environments of processes, nor in the journal, nor in what the plays printed with --diff."""
    shown = door.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; journalctl --no-pager --quiet")
    played = "\n".join(door.outputs)
    assert "stand-in-oracle" in shown and "routes.json" in played  # both were really read
    for holder, key in {**door.keys, **door.provider_keys}.items():
        assert key not in shown, "the key of %s in processes or the journal" % holder
        assert key not in played, "the key of %s in the output of a play" % holder
    readable = door.sh("find %s -type f -perm /o+r" % FOLDER).split()
    assert {path.rsplit("/", 1)[1] for path in readable} == {"self_signed.pem", "nginx.conf", *PROGRAMS}


def test_by_default_nothing_listens_beyond_loopback(door):
    """The role's own defaults, without what the demo says."""
    changed = door.deploy(gateway_address="127.0.0.1", gateway_port=8080, gateway_tls="none").assert_ok()
    assert "Write the gateway" in changed.changed
    listening = door.sh("ss --no-header --listening --tcp --numeric --processes | grep nginx | awk '{print $4}' | sort -u").split()
    assert listening == ["127.0.0.1:8080", "127.0.0.1:9180"]
