"""The gate against a stand-in for llama-server on loopback that answers at the speed it is told to."""
import http.server
import json
import threading
import time

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import served
from ansible_collections.protocol_omni.bunker.plugins.modules import service_speed


class StandInServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.answer("text/plain", "# HELP\nllamacpp:tokens_predicted_total %g\nllamacpp:requests_processing %d\n" % (self.server.total, self.server.working))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.asked.append(asked)
        speed = server.speeds[min(len(server.asked), len(server.speeds)) - 1]
        time.sleep(0.02)  # three of them are what a measurement of 0.05 s takes
        server.total += asked["n_predict"] + server.others
        timings = {"predicted_per_second": speed, "prompt_per_second": 3 * speed, "predicted_n": asked["n_predict"]}
        self.answer("application/json", json.dumps({"timings": timings} if speed else {"error": "no"}))

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInServer) as running:
        running.speeds, running.asked, running.total, running.others, running.working = [100.0], [], 1000, 0, 0
        running.url = "http://127.0.0.1:%d" % running.server_port
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def measure(server, tmp_path, capsys, monkeypatch):
    """Runs the module and returns what it printed."""
    monkeypatch.setattr(served, "LONGEST", 1000)  # as many requests on a busy machine as on an idle one

    def run(check_mode=False, **given):
        parameters = dict({"endpoint": server.url, "path": str(run.path), "identity": {"model": "a"}, "seconds": 0.05, "pause": 0, "definition": "d1",
                           "_ansible_check_mode": check_mode}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            service_speed.main()
        return json.loads(capsys.readouterr().out)
    run.path = tmp_path / "folder" / "speed.json"
    return run


def test_the_first_is_noted_and_the_second_is_compared_with_it(measure, server):
    assert measure()["verdict"]["against"] == {}
    server.speeds = [80.0]
    found = measure()["verdict"]
    assert not found["holds"] and found["percent"] == {"generation": pytest.approx(80), "prompt": pytest.approx(80)} and found["attempts"] == 3
    assert json.loads(measure.path.read_text())["last"]["holds"] is False


def test_the_median_counts_and_the_request_that_warms_up_does_not(measure, server):
    server.speeds = [5.0, 20.0, 100.0, 90.0]
    assert measure()["verdict"]["speeds"]["generation"] == 90.0
    assert {asked["n_predict"] for asked in server.asked} == {8}  # a second's worth, at least eight


def test_requests_are_of_about_a_second(measure, server):
    server.speeds = [60.0]
    measure()
    assert {asked["n_predict"] for asked in server.asked[1:]} == {60} and not any(asked["cache_prompt"] for asked in server.asked)


def test_what_was_slow_for_a_moment_is_measured_again(measure, server):
    measure()
    server.asked.clear()
    server.speeds = [40.0] * 4 + [99.0] * 4
    found = measure()["verdict"]
    assert found["holds"] and found["attempts"] == 2 and found["speeds"]["generation"] == 99.0


def test_a_neighbour_may_slow_prompts_in_one_attempt_and_generation_in_the_other(measure, server, monkeypatch):
    measure()
    monkeypatch.setattr(service_speed.served, "measure", lambda *_given, **_more: attempts.pop(0))
    attempts = [{"generation": 70.0, "prompt": 300.0, "samples": [1], "disturbed": False},
                {"generation": 99.0, "prompt": 210.0, "samples": [2], "disturbed": False}]
    found = measure()["verdict"]
    assert found["holds"] and found["speeds"] == {"generation": 99.0, "prompt": 300.0} and found["samples"] == [1, 2]


def test_before_it_is_measured_again_it_waits_a_while_for_a_neighbour(measure, server, monkeypatch):
    measure()
    waited, sleep = [], service_speed.time.sleep  # the server's own is the same function
    monkeypatch.setattr(service_speed.time, "sleep", lambda seconds: waited.append(seconds) if seconds == 7 else sleep(seconds))
    measure(pause=7)
    assert waited == []
    server.speeds = [40.0]
    measure(pause=7)
    assert waited == [7, 7]


def test_without_a_deployment_what_was_noted_stands_unless_it_was_bad(measure, server):
    measure()
    count = len(server.asked)
    assert "Noted on" in measure(again=False)["msg"] and len(server.asked) == count
    assert measure(again=False, definition="d2")["verdict"]["attempts"] == 1 and len(server.asked) > count
    server.speeds = [10.0]
    assert not measure(definition="d2")["verdict"]["holds"]
    server.speeds = [100.0]
    assert measure(again=False, definition="d2")["verdict"]["holds"]  # whatever it was is over


def test_a_measurement_beside_other_answers_is_none(measure, server):
    measure()
    server.others = 5
    found = measure()
    assert "verdict" not in found and "answered others in each of 3" in found["msg"]


def test_one_beside_an_answer_that_outlasts_it_is_none_either(measure, server):
    server.working = 1
    assert "verdict" not in measure()


def test_the_servers_six_digits_are_nobodys_tokens(measure, server):
    server.total = 123456789
    assert measure()["verdict"]["holds"]


def test_what_was_bad_stays_bad_until_it_is_measured_alone(measure, server):
    measure()
    server.speeds = [50.0]
    measure()
    server.others = 5
    found = measure(again=False)
    assert not found["verdict"]["holds"] and "before: generation 50.0" in found["msg"]


def test_what_has_changed_is_said(measure, server):
    measure(inputs={"image": "one"}, arguments=["--threads", "2"])
    server.speeds = [50.0]
    text = measure(inputs={"image": "two"}, arguments=["--threads", "2"])["msg"]
    assert "image was one and is two" in text and "--threads" not in text


def test_a_slower_one_is_accepted_on_demand(measure, server):
    measure()
    server.speeds = [50.0]
    assert measure(accept=True)["verdict"]["holds"] and measure()["verdict"]["holds"]


def test_in_check_mode_nothing_is_asked_or_noted(measure, server):
    assert "verdict" not in measure(check_mode=True) and not server.asked and not measure.path.exists()


@pytest.mark.parametrize("given", [{"seconds": 0}, {"attempts": 0}, {"pause": -1.0}, {"bound": 101}, {"bound": -1}])
def test_numbers_that_make_no_sense_are_refused_by_name(measure, server, given):
    found = measure(**given)
    assert found["failed"] and "%s %s" % (next(iter(given)), float(given["seconds"]) if "seconds" in given else next(iter(given.values()))) in found["msg"]
    assert not server.asked


def test_a_server_that_does_not_answer_as_it_should_is_named(measure, server):
    server.speeds = [0]
    assert "/completion: no timings" in measure()["msg"]
    server.shutdown()
    assert measure(endpoint="http://127.0.0.1:9")["failed"]


def test_a_damaged_record_is_no_record(measure):
    measure.path.parent.mkdir()
    measure.path.write_text("[1", encoding="ascii")
    assert measure()["verdict"]["against"] == {}


class Vectors(StandInServer):
    """A server that makes vectors and scores, as fast as it is told, and refuses where it is told to."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        time.sleep(0.02)
        if self.server.refuses:
            self.send_response(self.server.refuses)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "too large to process"}}')
            return
        self.answer("application/json", json.dumps({"usage": {"prompt_tokens": self.server.tokens}}))


@pytest.fixture
def vectors(server):
    server.RequestHandlerClass = Vectors
    server.tokens, server.refuses = 240, 0
    return server


@pytest.mark.parametrize("kind, path, field", [("embeddings", "/v1/embeddings", "input"), ("reranking", "/v1/rerank", "documents")])
def test_what_generates_nothing_is_measured_by_how_fast_it_reads(measure, vectors, kind, path, field):
    found = measure(kind=kind)["verdict"]
    assert list(found["speeds"]) == ["prompt"] and 100 < found["speeds"]["prompt"] < 240 / 0.02
    assert {one[0] for one in vectors.asked} == {path}
    texts = vectors.asked[0][1][field]
    assert len(texts) > 10 and max(map(len, texts)) < 60  # a text that is longer than its batch it would refuse
    vectors.tokens = 2
    assert measure(kind=kind)["verdict"]["holds"] is False


def test_a_kind_is_compared_with_itself(measure, vectors):
    measure(kind="embeddings")
    assert measure(kind="reranking")["verdict"]["against"] == {}


@pytest.mark.parametrize("kind", ["chat", "embeddings"])
@pytest.mark.parametrize("status", [400, 500, 501])
def test_who_refuses_the_measurement_has_none_and_is_not_failed(measure, vectors, kind, status):
    vectors.refuses = status
    found = measure(kind=kind)
    assert not found.get("failed") and "verdict" not in found and "too large to process" in found["msg"]


def test_who_is_not_there_is_failed(measure, vectors):
    vectors.refuses = 503
    assert measure(kind="embeddings")["failed"]
