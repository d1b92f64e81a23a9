"""What is seen of a service: a stand-in for llama-server on loopback, one for the engine on a socket, others on the path, and a real process."""
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import service_info

UNIT, LABEL = "protocol-omni-oracle.service", "protocol_omni.bunker.definition"
# What it maps lies under names of libraries; what it is called with and has in its environment is another thing each.
CHILD = """
import mmap, sys
files = [open(path, "rb") for path in sys.argv[1:3]]
kept = [mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) for file in files]
print("ready", flush=True)
sys.stdin.read()
"""
STAND_INS = {
    "systemctl": '[ "$1" = is-enabled ] && { cat enabled; exit 1; }; case "$*" in *ActiveState*%s) cat state;; *BindsTo*%s) cat bound;; esac' % (UNIT, UNIT),
    "nsenter": 'echo "$*" >> calls; cat inside 2>/dev/null',
    "nvidia-smi": 'echo "$*" >> calls; cat apps 2>/dev/null'}
# As nft 1.0.6 prints the seal's own table.
INSIDE = ('table inet bunker_seal_inside {\n\tchain output {\n\t\ttype filter hook output priority filter - 10; policy accept;\n\t\toifname "lo" accept\n'
          '\t\tct state established ct direction reply accept\n\t\tcounter drop\n\t}\n}\n')


class StandInServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        given = self.server.answers[self.path]
        self.answer(*(given if isinstance(given, tuple) else given.pop(0) if len(given) > 1 else given[0]))  # of a list one after the other

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self.answer(*self.server.answers["measured" if body.get("ignore_eos") else "asked"])

    def answer(self, status, content, headers=()):
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text.encode())), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInServer) as running:
        running.url, running.asked = "http://127.0.0.1:%d" % running.server_port, []
        running.answers = {
            "/health": (200, {"status": "ok"}), "/": (404, "no page"), "/slots": (501, {"error": {"message": "not enabled"}}),
            "/props": (200, {"model_path": "/models/m.gguf", "default_generation_settings": {}}),
            "asked": (200, {"choices": [{"message": {"content": "Paris."}}], "usage": {"completion_tokens": 3}}),
            "measured": (200, {"choices": [], "timings": {"predicted_per_second": 10.94, "prompt_per_second": 172.26}})}
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def process(tmp_path):
    """A process that has two files mapped, one of them under the name of a libcuda."""
    for name in ("libcuda.so.580.95.05", "libggml-cuda.so"):
        (tmp_path / name).write_bytes(b"x" * 4096)
    words = [sys.executable, "-c", CHILD, str(tmp_path / "libcuda.so.580.95.05"), str(tmp_path / "libggml-cuda.so"), "--ctx-size", "8192", "a word with spaces"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(
            os.environ, CUDA_VISIBLE_DEVICES="GPU-a,GPU-b", SECRET_KEY="sesame")) as child:
        assert child.stdout.readline() == b"ready\n"
        child.words = words
        yield child
        child.communicate()


def inspected(pid):
    """As Docker 29 tells of a container, shortened."""
    return {
        "Id": "c0", "Image": "sha256:0123456789abcdef", "State": {"Pid": pid, "Running": True},
        "Config": {"User": "65532:65532", "Env": ["SECRET_KEY=sesame"], "Labels": {LABEL: "abcd", "other": "x"}},
        "HostConfig": {"ReadonlyRootfs": True, "CapDrop": ["ALL"], "CapAdd": None, "SecurityOpt": ["no-new-privileges"], "Privileged": False, "PidsLimit": 4096,
                       "CpusetCpus": "0-7", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
                       "PortBindings": {"8000/tcp": [{"HostIp": "10.0.0.1", "HostPort": "8000"}], "9/tcp": None}},
        "Mounts": [{"Destination": "/models", "RW": False}, {"Destination": "/cuda-cache", "RW": True}],
        "NetworkSettings": {"Networks": {"omni-network": {"IPAddress": "172.30.0.20"}, "internal_brain": {"IPAddress": "172.31.0.20"}}}}


@pytest.fixture
def look(tmp_path, monkeypatch, capsys, server, process):
    """Runs the module and returns what it printed; the folder is where the stand-ins look and write."""
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "bin" / name).write_text('#!/bin/sh\ncd "%s"\n%s\n' % (tmp_path, script), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    for name, text in {
            "state": "active\n", "enabled": "enabled\n", "bound": "protocol-omni-seal.service docker.service\n", "inside": INSIDE, "calls": "",
            "apps": "GPU-a, %d\nGPU-c, 1\nGPU-b, %d\n" % (process.pid, process.pid),
            "unit": "[Service]\nExecStart=/usr/bin/docker run \\\n  --label %s=abcd \\\n  --rm\n" % LABEL,
            "resolved": json.dumps({"rung": 1, "ladder": [{"name": "inventory"}, {"name": "kv_to_ram"}], "server_arguments": ["--ctx-size", "8192"]}),
            "speed": json.dumps({"good": [], "last": {"definition": "abcd", "holds": True}})}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))
    monkeypatch.setattr(service_info, "PAUSE", 0.05)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nothing goes there

    def run(**given):
        parameters = dict({
            "name": "oracle", "endpoint": server.url, "question": "What is the capital of France?", "answer_tokens": 9, "patience": 1, "timeout": 10,
            "gpus": ["GPU-a", "GPU-b"], "unit": UNIT, "unit_path": str(tmp_path / "unit"), "resolved_path": str(tmp_path / "resolved"),
            "speed_path": str(tmp_path / "speed"), "label": LABEL, "docker_host": "unix://%s" % run.socket, "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            service_info.main()
        run.printed = capsys.readouterr().out
        return json.loads(run.printed)
    run.folder, run.engine = tmp_path, {"/containers/oracle/json": inspected(process.pid)}
    with engine_at(tmp_path / "docker.sock", run.engine) as run.socket:
        yield run


def test_everything_is_read(look, process):
    found = look()
    assert not found.get("failed"), found
    process_seen = found.pop("process")
    assert process_seen.pop("memory") > 1 << 20
    assert process_seen == {"arguments": process.words, "visible_devices": "GPU-a,GPU-b", "devices": [], "libcuda": [str(look.folder / "libcuda.so.580.95.05")],
                            "backend": [str(look.folder / "libggml-cuda.so")]}
    assert {name: value for name, value in found.items() if name != "invocation"} == {
        "changed": False, "answer": {"said": "Paris.", "tokens": 3, "thinking": False}, "speeds": {"generation": 10.94, "prompt": 172.26},
        "samples": {"generation": [10.94], "prompt": [172.26]}, "others": {}, "model_path": "/models/m.gguf",
        "doors": [{"path": path, "status": status, "origin": ""} for path, status in (("/", 404), ("/slots", 501), ("/health", 200))],
        "container": {
            "pid": process.pid, "image": "sha256:0123456789abcdef", "definition": "abcd", "cpuset": "0-7", "restart": "no", "ports": ["10.0.0.1:8000"],
            "networks": {"omni-network": "172.30.0.20", "internal_brain": "172.31.0.20"},
            "hardening": {"user": "65532:65532", "read_only": True, "dropped": "ALL", "added": "", "security": "no-new-privileges", "privileged": False,
                          "pids": 4096, "models_writable": [False]}},
        "gpus": ["GPU-a", "GPU-b"], "inside": ['oifname "lo" accept', "counter drop"],
        "unit": {"state": "active", "enabled": "enabled", "binds_to": ["protocol-omni-seal.service", "docker.service"], "definition": "abcd"},
        "resolved": {"rung": 1, "name": "kv_to_ram", "arguments": ["--ctx-size", "8192"]}, "last_speed": {"definition": "abcd", "holds": True},
        "egress": {}}
    assert "--net=/proc/%d/ns/net nft --stateless list table inet bunker_seal_inside\n" % process.pid in (look.folder / "calls").read_text(encoding="utf-8")


def test_no_secret_of_its_environment_is_printed(look):
    assert not look().get("failed")
    assert "sesame" not in look.printed


def test_what_it_asks(look, server):
    look()
    (asked, measured) = [body for path, body in server.asked if path == "/v1/chat/completions"]
    assert asked == {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0, "max_tokens": 9}
    assert measured["messages"][0]["content"].startswith("The quick brown fox jumps over the lazy dog. The quick")
    assert measured["messages"][0]["content"].endswith("dog. What is the capital of France?")
    assert (measured["max_tokens"], measured["ignore_eos"], measured["cache_prompt"], measured["temperature"]) == (64, True, False, 0)
    assert [path for path, headers in server.asked if isinstance(headers, dict) and headers.get("Origin") == "https://elsewhere.invalid"] == [
        "/", "/slots", "/health"]


def test_an_open_door_and_a_redirect_are_told_as_they_are(look, server):
    server.answers["/"] = (302, "", {"Location": "/health"})
    server.answers["/slots"] = (200, "[]", {"Access-Control-Allow-Origin": "*"})
    assert [(door["status"], door["origin"]) for door in look()["doors"][:2]] == [(302, ""), (200, "*")]


def test_what_is_not_there_is_told_as_absent(look):
    for name in ("unit", "resolved", "speed", "inside", "apps"):
        (look.folder / name).unlink()
    (look.folder / "bound").write_text("\n", encoding="utf-8")
    look.engine["/containers/oracle/json"]["Config"]["Labels"] = None
    look.engine["/containers/oracle/json"]["HostConfig"].update(PortBindings=None, CpusetCpus="", RestartPolicy={"Name": ""})
    found = look()
    assert (found["resolved"], found["last_speed"], found["inside"], found["gpus"]) == ({}, {}, [], [])
    assert found["unit"] == {"state": "active", "enabled": "enabled", "binds_to": [], "definition": ""}
    assert [found["container"][name] for name in ("definition", "ports", "cpuset", "restart")] == ["", [], "", "no"]


@pytest.mark.parametrize("text", ["[]", "{", '{"rung": 5, "ladder": [], "server_arguments": []}', '{"last": null}'])
def test_damaged_records_are_none(look, text):
    (look.folder / "resolved").write_text(text, encoding="utf-8")
    (look.folder / "speed").write_text(text, encoding="utf-8")
    found = look()
    assert (found["resolved"], found["last_speed"]) == ({}, {})


def test_a_unit_with_bytes_that_are_no_text_is_read(look):
    (look.folder / "unit").write_bytes(b"\xff\xfe --label %s=0123\n" % LABEL.encode())
    assert look()["unit"]["definition"] == "0123"


def test_a_service_of_the_cpu_asks_no_driver(look):
    assert look(gpus=[])["gpus"] == [] and "--query-compute-apps" not in (look.folder / "calls").read_text(encoding="utf-8")


def test_the_answer_of_a_model_that_says_nothing_is_no_fault_of_the_look(look, server):
    server.answers["asked"] = (200, {"choices": [{"message": {"content": None}}]})
    assert look()["answer"] == {"said": "", "tokens": 0, "thinking": False}


def test_it_waits_until_the_model_is_loaded(look, server):
    server.answers["/health"] = [(503, {"error": {"message": "Loading model"}})] * 3 + [(200, {"status": "ok"})]
    assert not look().get("failed") and [path for path, _headers in server.asked].count("/health") == 5


@pytest.mark.parametrize("endpoint, words", [("", "/health: it answered 503: "), ("http://127.0.0.1:1", "http://127.0.0.1:1/health: [Errno 111]")])
def test_one_that_does_not_answer_in_time_is_named_with_what_it_said(look, server, endpoint, words):
    server.answers["/health"] = (503, {"error": {"message": "Loading model"}})
    found = look(**({"endpoint": endpoint} if endpoint else {}))
    assert found["failed"] and found["msg"].startswith("oracle was not looked at: it has not answered within 1 s: ")
    assert words in found["msg"] and found["msg"].endswith("See: journalctl -u " + UNIT)


def test_one_that_systemd_has_given_up_is_not_waited_for(look, server):
    (look.folder / "state").write_text("failed\n", encoding="utf-8")
    found = look(patience=600)
    assert found["failed"] and "systemd starts it no more" in found["msg"] and server.asked == []


@pytest.mark.parametrize("which, answer, words", [
    ("asked", (500, {"error": "out of memory"}), "/v1/chat/completions: it answered 500: "), ("asked", (200, "[1]"), "is no JSON object: [1]"),
    ("measured", (200, {"timings": {"predicted_per_second": 1.0}}), "no timings in its answer"), ("measured", (200, {}), "no timings in its answer"),
    ("/props", (403, "no"), "/props: it answered 403: no")])
def test_a_question_that_fails_is_named(look, server, which, answer, words):
    server.answers[which] = answer
    found = look()
    assert found["failed"] and found["msg"].startswith("oracle was not looked at: ") and words in found["msg"]


def test_a_service_without_a_container_is_named(look):
    del look.engine["/containers/oracle/json"]
    assert "the engine knows no container oracle. See: docker ps --all" in look()["msg"]


def test_a_container_that_does_not_run_is_named(look):
    look.engine["/containers/oracle/json"]["State"]["Pid"] = 0
    assert "its container does not run" in look()["msg"]


def test_a_process_that_has_ended_is_named(look):
    look.engine["/containers/oracle/json"]["State"]["Pid"] = 2**22 + 1  # above what a kernel counts to
    found = look()
    assert found["failed"] and "its process 4194305 cannot be looked at" in found["msg"]


def test_a_silent_engine_is_named(look):
    assert "no Docker engine answers at /nowhere.sock" in look(docker_host="unix:///nowhere.sock")["msg"]


def test_a_host_without_the_commands_has_none_of_what_they_tell(look, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = look()
    assert (found["gpus"], found["inside"], found["unit"]) == ([], [], {"state": "", "enabled": "", "binds_to": [], "definition": "abcd"})


def test_a_speed_is_measured_as_often_as_it_is_asked_for_and_the_host_looked_at_before(look, server):
    found = look(measurements=3)
    assert found["samples"] == {"generation": [10.94] * 3, "prompt": [172.26] * 3} and found["speeds"] == {"generation": 10.94, "prompt": 172.26}
    assert found["others"]["of"] == os.cpu_count() and 0 <= found["others"]["cpus"] <= os.cpu_count()
    assert len([path for path, _body in server.asked if path == "/v1/chat/completions"]) == 4  # with the question


@pytest.mark.parametrize("count", [0, 11])
def test_a_number_of_measurements_that_is_none_is_refused(look, server, count):
    assert look(measurements=count)["msg"] == "measurements %d: it is a number from 1 to 10. Write for example 5." % count and server.asked == []


def test_a_service_of_vectors_is_asked_for_vectors(look, server):
    data = [{"index": number, "embedding": [0.5, -1]} for number in range(2)]
    server.answers["asked"] = (200, {"data": data, "usage": {"prompt_tokens": 200}})
    found = look(kind="embeddings")
    assert found["answer"]["vectors"] == [{"length": 2, "finite": True, "zero": False}] * 2
    assert found["speeds"]["generation"] is None and found["speeds"]["prompt"] > 0
    assert {path for path, _asked in server.asked if path.startswith("/v1")} == {"/v1/embeddings"}


def test_a_refused_measurement_is_told(look, server):
    server.answers["measured"] = (400, {"error": {"message": "exceeds the available context size"}})
    found = look()
    assert not found.get("failed") and found["speeds"]["prompt"] is None and "exceeds the available context size" in found["speeds"]["why"]


def test_it_is_tried_to_get_out_where_that_is_asked_for(look, monkeypatch):
    tried = {"isolated": True, "attempts": [{"attempt": "ping"}], "failing": []}
    asked = []
    monkeypatch.setattr(service_info, "probed", lambda *words: asked.append(words) or dict(tried))
    assert look(egress=True)["egress"] == dict(tried, why="") and asked == [("oracle", "unix://%s" % look.socket)]


def test_a_container_that_cannot_be_probed_is_told_and_the_rest_is_read(look):
    look.engine["/containers/oracle/json"].update(Name="/oracle")
    look.engine["/containers/oracle/json"]["NetworkSettings"]["Networks"] = {"lan": {"NetworkID": "n1", "IPAddress": "10.0.0.9"}}
    look.engine["/networks/n1"] = {"Name": "lan", "Id": "n1", "Driver": "macvlan", "Internal": False, "Options": {}, "IPAM": {"Config": []}}
    found = look(egress=True)
    assert found["answer"]["said"] == "Paris." and found["egress"] == {
        "isolated": False, "attempts": [], "failing": [],
        "why": "oracle was not probed: network lan is of driver macvlan; only bridge networks can be probed."}


def test_it_is_asked_while_attempts_are_made_and_measured_when_they_have_ended(look, monkeypatch):
    """Each of the two waits for the other, so neither is made before or after it."""
    begun, asked, order = threading.Event(), threading.Event(), []
    ask, measured = service_info.proof.ask, service_info.measured

    def asks(*given):
        asked.set()
        assert begun.wait(20)
        return ask(*given)

    def attempts(given):
        begun.set()
        order.append("attempts %s" % asked.wait(20))
        return {"isolated": True, "attempts": [], "failing": [], "why": ""}
    monkeypatch.setattr(service_info.proof, "ask", asks)
    monkeypatch.setattr(service_info, "attempts", attempts)
    monkeypatch.setattr(service_info, "measured", lambda given: order.append("measured") or measured(given))
    assert look()["egress"]["isolated"] and order == ["attempts True", "measured"]
