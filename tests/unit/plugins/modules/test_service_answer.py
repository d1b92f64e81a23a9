"""A service that was started is asked what it is for; what it answers instead is told."""
import http.server
import json
import threading

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import service_answer


class StandInServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


@pytest.fixture
def ask(capsys):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def run(status, answer, **given):
            server.answer = (status, answer)
            with patch_module_args({"endpoint": "http://127.0.0.1:%d" % server.server_port, "timeout": 10, **given}), pytest.raises(SystemExit):
                service_answer.main()
            return json.loads(capsys.readouterr().out)
        yield run
        server.shutdown()


def chat(words):
    return {"choices": [{"message": {"content": words}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}


def test_what_it_is_for_is_enough(ask):
    found = ask(200, chat("Paris."))
    assert (found["changed"], found["expected"], found["observed"]) == (False, "Paris", "Paris.")


def test_another_answer_is_told(ask):
    found = ask(200, chat("Rome."))
    assert found["failed"] and "Expected: Paris" in found["msg"] and "Its answer was: Rome." in found["msg"]


def test_the_server_s_own_words_are_told(ask):
    found = ask(501, {"error": {"message": "This server does not support embeddings"}}, kind="embeddings")
    assert found["failed"] and "kind embeddings" in found["msg"] and "This server does not support embeddings" in found["msg"]


def test_a_vector_has_the_headers_length(ask):
    data = {"data": [{"index": number, "embedding": [0.5, 1.5]} for number in range(2)]}
    assert not ask(200, data, kind="embeddings", width=2).get("failed")
    assert "2 vectors of 3 finite numbers" in ask(200, data, kind="embeddings", width=3)["msg"]
