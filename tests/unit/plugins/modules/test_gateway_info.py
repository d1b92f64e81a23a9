"""What is read of the gateway, with stand-ins for it, for its control socket, for a service, for ss and for the kernel's processes."""
import contextlib
import http.server
import json
import os
import pwd
import socketserver
import ssl
import subprocess
import threading

import pytest
from ansible.module_utils.testing import patch_module_args
from http_stand_in import http_at

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gateway_survey
from ansible_collections.protocol_omni.bunker.plugins.modules import gateway_info

UNIT, KEY = "protocol-omni-gateway.service", "c0ffee" * 10
PLAN = {"digest": "d16e57", "keys": {"h1": "operator", "h2": "alice", "h3": "operator"}, "routes": {"oracle": {}, "executor": {}}}
PROCESSES = {
    "40": ("0::/system.slice/%s\n" % UNIT, "nginx: worker process\0"),
    "7": ("0::/system.slice/docker.service\n", "docker-proxy\0-container-ip\000172.30.0.20\0"),
    "8": ("0::/system.slice/docker.service\n", "docker-proxy\0-container-ip\000172.30.0.200\0"), "9": ("0::/user.slice\n", "nc\0-l\0")}
# nginx by its unit, a proxy by its service's address, a llama-server of nobody's by its name; a proxy and a program of others.
SOCKETS = """\
tcp   LISTEN 0      511     127.0.0.1:9180       0.0.0.0:*    users:(("nginx",pid=40,fd=6),("nginx",pid=39,fd=6))
tcp   LISTEN 0      4096    127.0.0.1:8002       0.0.0.0:*    users:(("docker-proxy",pid=7,fd=4))
tcp   LISTEN 0      511     127.0.0.1:9180       0.0.0.0:*    users:(("nginx",pid=40,fd=7))
udp   UNCONN 0      0         0.0.0.0:8999       0.0.0.0:*    users:(("llama-server",pid=77,fd=4))
tcp   LISTEN 0      4096    127.0.0.1:5000       0.0.0.0:*    users:(("docker-proxy",pid=8,fd=4))
tcp   LISTEN 0      5       127.0.0.1:6000       0.0.0.0:*    users:(("nc",pid=9,fd=4))
"""
CHAT = {"choices": [{"message": {"content": "Paris"}}]}


class GatewayStandIn(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def said(self, status, content, by=""):
        self.send_response(status)
        for name, value in {"X-Bunker-Service": by}.items() if by else ():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    def do_GET(self):
        key = self.headers.get("Authorization", "")
        self.server.asked.append((self.path, key, None))
        if self.path == "/health":
            return self.said(200, {"configuration": "d16e57"})
        return self.said(404 if key == "Bearer " + KEY else 401, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization", ""), body))
        self.said(*self.server.answers[body["model"]])


@contextlib.contextmanager
def control_at(path, answer):
    """The gateway's control socket, at a path."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def address_string(self):
            return "a socket"

        def do_GET(self):
            found = answer() if callable(answer) else answer
            self.send_response(200 if self.path == "/services" else 404)
            self.end_headers()
            self.wfile.write(found.encode())

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def services(contexts):
    return json.dumps({name: {"up": True, "context": context} for name, context in contexts.items()})


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; ``run.server`` is the gateway, ``run.folder`` where its files are."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ss").write_text('#!/bin/sh\ncat "%s/sockets"\n' % tmp_path, encoding="utf-8")
    (tmp_path / "bin" / "ss").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))
    for pid, (cgroup, line) in PROCESSES.items():
        (tmp_path / "proc" / pid).mkdir(parents=True)
        (tmp_path / "proc" / pid / "cgroup").write_text(cgroup, encoding="utf-8")
        (tmp_path / "proc" / pid / "cmdline").write_text(line, encoding="utf-8")
    (tmp_path / "proc" / "version").write_text("no process\n", encoding="utf-8")
    monkeypatch.setattr(gateway_survey.processes, "__defaults__", (str(tmp_path / "proc"),))
    for name, text in {"operator.key": KEY + "\n", "routes.json": json.dumps(PLAN), "sockets": SOCKETS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o640)
    props = json.dumps({"default_generation_settings": {"n_ctx": 8192}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), GatewayStandIn) as server, http_at({"/props": props}) as run_service:
        server.asked, server.answers = [], {"oracle": (200, CHAT, "oracle"), "executor": (200, CHAT, "oracle"), "vec": (503, {"error": {}})}
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def service(name):
            return {"name": name, "question": "Where?", "start_timeout": 5, "networks": [{"name": "n", "address": "172.30.0.20"}]}

        def run(names=("oracle", "executor"), **given):
            routes = {name: {"kind": "embeddings" if name == "vec" else "", "address": "127.0.0.1:%d" % run_service.port} for name in names}
            parameters = dict({
                "endpoint": "http://127.0.0.1:%d" % server.server_port, "operator_key": str(tmp_path / "operator.key"), "plan": str(tmp_path / "routes.json"),
                "files": [str(tmp_path / name) for name in ("operator.key", "gone.key")], "unit": UNIT, "control": str(tmp_path / "control.sock"),
                "services": [service(name) for name in names], "routes": routes, "patience": 0, "_ansible_check_mode": True}, **given)
            with patch_module_args(parameters), pytest.raises(SystemExit):
                gateway_info.main()
            text = capsys.readouterr().out
            assert KEY not in text
            return json.loads(text)
        run.server, run.folder = server, tmp_path
        yield run
        server.shutdown()


def test_who_listens_for_services_and_gateway_is_read_and_nobody_else(look):
    found = look()
    assert not found["changed"] and (found["listening"], found["ss"]) == (["0.0.0.0:8999", "127.0.0.1:8002", "127.0.0.1:9180"], "")
    (look.folder / "bin" / "ss").write_text("#!/bin/sh\necho 'Cannot open netlink socket' >&2; exit 1\n", encoding="utf-8")
    found = look()
    assert (found["listening"], found["ss"]) == ([], "ss: Cannot open netlink socket")


def test_the_doors_are_tried_without_a_key_with_a_wrong_one_and_with_the_operators(look):
    found = look(names=())
    assert found["loaded"] == "d16e57"
    assert [(door["path"], door["key"], door["status"]) for door in found["doors"]] == [
        ("/health", "none", 200), ("/v1/models", "none", 401), ("/v1/models", "wrong", 401), ("/slots", "operator", 404), ("/props", "operator", 404),
        ("/metrics", "operator", 404)]
    assert [key for _path, key, _body in look.server.asked] == ["", "", "Bearer " + "0" * 64] + ["Bearer " + KEY] * 3


def test_each_service_is_asked_for_what_its_kind_is_for(look):
    look.server.answers["vec"] = (200, {"data": [{"index": 0, "embedding": [1.0]}]}, "vec")
    found = look(names=("oracle", "vec"))
    asked = [(path, body) for path, _key, body in look.server.asked if body]
    assert [path for path, _body in asked] == ["/v1/chat/completions", "/v1/embeddings"]
    assert (asked[0][1]["model"], asked[0][1]["max_tokens"], asked[0][1]["messages"][0]["content"]) == ("oracle", 16, "Where?")
    assert asked[1][1]["model"] == "vec" and "max_tokens" not in asked[1][1]
    assert [(one["service"], one["by"], one["answered"]) for one in found["answers"]] == [("oracle", "oracle", True), ("vec", "vec", True)]


@pytest.mark.parametrize("answer, status, by, answered", [
    ((200, CHAT, "executor"), 200, "executor", True), ((503, CHAT, "oracle"), 503, "oracle", False), ((200, {"data": []}, "oracle"), 200, "oracle", False),
    ((200, CHAT), 200, "", True), ((200, b"<html>", "oracle"), 200, "oracle", False)],
    ids=["another one", "refused", "another shape", "nobody is named", "no JSON"])
def test_who_answered_is_who_said_so_in_the_right_shape(look, answer, status, by, answered):
    look.server.answers["oracle"] = answer
    assert look(names=("oracle",))["answers"] == [{"service": "oracle", "status": status, "by": by, "answered": answered, "why": ""}]


def test_questions_are_those_of_the_kinds():
    assert [gateway_survey.question(kind, "")[0] for kind in ("", "embeddings", "reranking", "completion", "vision")] == [
        "/v1/chat/completions", "/v1/embeddings", "/v1/rerank", "/infill", "/v1/chat/completions"]


def test_a_gateway_that_does_not_answer_is_told_with_its_cause(look):
    with http_at({}) as other:
        port = other.port
    found = look(endpoint="http://127.0.0.1:%d" % port)
    assert found["loaded"] == "" and {row["status"] for row in found["doors"] + found["answers"]} == {None}
    assert all("refused" in row["why"] for row in found["doors"] + found["answers"])


def test_without_the_operators_key_nobody_asks_with_it(look):
    (look.folder / "operator.key").unlink()
    found = look()
    assert [door["status"] for door in found["doors"]] == [200, 401, 401, None, None, None]
    assert {row["why"] for row in found["doors"][3:] + found["answers"]} == {"the operator's key was not read"}
    assert [body for _path, _key, body in look.server.asked if body] == []


def test_a_key_file_of_something_else_is_told_and_ends_nothing(look):
    """What a crash or a wrong copy left: bytes that no header can hold."""
    (look.folder / "operator.key").write_bytes(b"\xff\xfe\x00\x01")
    found = look()
    assert [(door["path"], door["status"]) for door in found["doors"]][:2] == [("/health", 200), ("/v1/models", 401)]
    assert all(door["status"] is None and door["why"] for door in found["doors"] if door["key"] == "operator")
    assert all(answer["status"] is None and answer["why"] for answer in found["answers"])


def test_holders_and_routes_of_the_plan_are_told_and_no_hash(look):
    assert look(names=())["plan"] == {"digest": "d16e57", "holders": ["alice", "operator"], "routes": ["executor", "oracle"], "why": ""}


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"digest": "a"}', '{"digest": "a", "keys": [], "routes": {}}'])
def test_a_plan_that_cannot_be_read_says_why(look, text):
    (look.folder / "routes.json").unlink()
    if text is not None:
        (look.folder / "routes.json").write_text(text, encoding="utf-8")
    found = look(names=())["plan"]
    assert found["why"] and (found["digest"], found["holders"], found["routes"]) == ("", [], [])


def test_files_are_told_with_owner_and_mode(look):
    me = pwd.getpwuid(os.getuid()).pw_name
    assert look(names=())["files"] == [{"name": "operator.key", "owner": me, "mode": "640"}, {"name": "gone.key", "owner": "", "mode": ""}]
    (look.folder / "gone.key").symlink_to(look.folder / "operator.key")
    assert look(names=())["files"][1]["mode"] == "777"  # a link is one, wherever it leads


def test_contexts_of_the_gateway_stand_beside_those_of_the_services(look):
    with control_at(look.folder / "control.sock", services({"oracle": 8192, "executor": None})):
        found = look()["control"]
    assert (found["root"], found["says"], found["thinks"]) == ("yes", {"oracle": 8192, "executor": 8192}, {"oracle": 8192, "executor": None})


def test_a_gateway_has_a_while_to_learn_what_a_server_holds(look, monkeypatch):
    monkeypatch.setattr(gateway_survey, "PAUSE", 0.01)
    later = [services({"oracle": 4096}), services({"oracle": 8192})]
    with control_at(look.folder / "control.sock", lambda: later.pop(0) if len(later) > 1 else later[0]):
        assert look(names=("oracle",), patience=5)["control"]["thinks"] == {"oracle": 8192}


@pytest.mark.parametrize("answer", ["", "[]", '{"oracle": {}}', '{"oracle": 1}'])
def test_a_control_socket_that_does_not_say_is_told(look, answer):
    with control_at(look.folder / "control.sock", answer):
        found = look(names=("oracle",))["control"]
    assert found["root"] not in ("", "yes") and found["thinks"] == {}


def test_a_control_socket_that_is_not_there_is_told(look):
    found = look()["control"]
    assert "No such file" in found["root"] and found["others"] in ("there is none", "no", "not tried: [Errno 1] Operation not permitted")


def test_a_service_that_does_not_say_holds_what_nobody_knows():
    with http_at({"/props": "{}"}) as server:
        assert gateway_survey.held("127.0.0.1:%d" % server.port) is None
    assert gateway_survey.held("127.0.0.1:%d" % server.port) is None


class Rights:
    """Stands in for the process's own rights: what was set, in its order."""

    def __init__(self, monkeypatch, denied=""):
        self.set = []
        for name in ("setgroups", "setegid", "seteuid"):
            monkeypatch.setattr(gateway_survey.os, name, lambda value, name=name: self.give(name, value, denied))

    def give(self, name, value, denied):
        if name == denied and value in ([], gateway_survey.NOBODY):
            raise PermissionError(1, "Operation not permitted")
        self.set.append((name, value))


@pytest.mark.parametrize("error, said", [(None, "yes"), (PermissionError(13, "Permission denied"), "no"), (FileNotFoundError(2, "x"), "there is none"),
                                         (ConnectionRefusedError(111, "x"), "there is none")])
def test_a_user_without_rights_tries_the_socket_and_rights_come_back(monkeypatch, error, said):
    rights, seen = Rights(monkeypatch), []

    def connect(self):
        seen.append((self.path, list(rights.set)))
        if error:
            raise error
    monkeypatch.setattr(gateway_survey.LocalConnection, "connect", connect)
    assert gateway_survey.reached_by_nobody("/run/x.sock") == said
    assert seen == [("/run/x.sock", [("setgroups", []), ("setegid", 65534), ("seteuid", 65534)])]
    assert rights.set[3:5] == [("seteuid", os.geteuid()), ("setegid", os.getegid())]


@pytest.mark.parametrize("denied", ["setgroups", "setegid", "seteuid"])
def test_who_cannot_let_go_of_rights_tries_nothing(monkeypatch, denied):
    Rights(monkeypatch, denied)
    monkeypatch.setattr(gateway_survey.LocalConnection, "connect", lambda self: pytest.fail("it was tried"))
    assert gateway_survey.reached_by_nobody("/run/x.sock") == "not tried: [Errno 1] Operation not permitted"


def test_a_gateway_with_a_certificate_of_its_own_is_asked_too(look, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=other",
                    "-keyout", str(tmp_path / "k.pem"), "-out", str(tmp_path / "c.pem")], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    look.server.socket = context.wrap_socket(look.server.socket, server_side=True)
    found = look(names=("oracle",), endpoint="https://127.0.0.1:%d" % look.server.server_port)
    assert found["loaded"] == "d16e57" and found["answers"][0]["by"] == "oracle"
