"""Each kind of service is asked for what it is for, of a stand-in for llama-server on loopback, and its answer is judged."""
import base64
import http.server
import json
import struct
import threading
import zlib

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import client, proof

WANTED = {"question": "Where?", "expected_word": "Paris", "answer_tokens": 64, "thinking_tokens": 1024, "width": 3}


class StandInServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        status, answer = self.server.answers.pop(0)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInServer) as running:
        running.url, running.asked, running.answers = "http://127.0.0.1:%d" % running.server_port, [], []
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def said(content, thought=None, tokens=5, ended="stop"):
    message = {"content": content, **({"reasoning_content": thought} if thought is not None else {})}
    return 200, {"choices": [{"message": message, "finish_reason": ended}], "usage": {"completion_tokens": tokens}}


def asked(server, kind, *answers, **wanted):
    server.answers.extend(answers)
    given = dict(WANTED, **wanted)
    return proof.verdict(kind, proof.ask(kind, server.url, given, 10), given)


def test_a_chat_is_asked_its_question_once(server):
    assert asked(server, "chat", said("It is paris.")) == ("Paris", "It is paris.", True)
    ((path, body),) = server.asked
    assert path == "/v1/chat/completions" and body["messages"][0]["content"] == "Where?" and (body["max_tokens"], body["temperature"]) == (64, 0)


@pytest.mark.parametrize("answer, holds", [(said("Rome"), False), (said("Paris", tokens=0), False), (said(None, "It is Paris"), True), (said(""), False)])
def test_a_chat_has_to_say_the_word_and_a_thought_counts(server, answer, holds):
    assert asked(server, "chat", answer)[2] is holds
    assert len(server.asked) == 1


def test_any_words_are_enough_where_none_is_expected(server):
    assert asked(server, "chat", said("qwx"), expected_word="") == ("any words", "qwx", True)
    assert asked(server, "chat", said("", tokens=0), expected_word="")[2] is False


@pytest.mark.parametrize("content", [None, "", " "])
def test_who_still_thinks_when_its_tokens_run_out_gets_more(server, content):
    begun = said(content, "The user asks", tokens=64, ended="length")
    assert asked(server, "chat", begun, said("Paris.", "The user asks for a capital", tokens=300)) == ("Paris", "Paris. The user asks for a capital", True)
    assert [body["max_tokens"] for _path, body in server.asked] == [64, 64 + 1024]


def test_who_thinks_on_is_told_what_helps(server):
    begun = said("", "The user", tokens=64, ended="length")
    expected, observed, holds = asked(server, "chat", begun, said("", "The user asks", tokens=1088, ended="length"))
    assert not holds and "still thinking after 1088 tokens: raise thinking_tokens" in observed and "The user asks" in observed


@pytest.mark.parametrize("begun, more", [
    (said("", "Paris, I think", tokens=64, ended="length"), 1024),  # the word is there
    (said("It is", "The user", tokens=64, ended="length"), 1024),  # it had begun to answer
    (said("", "The user", tokens=64, ended="length"), 0),  # the inventory gives no more
])
def test_it_is_not_asked_again_without_cause(server, begun, more):
    asked(server, "chat", begun, thinking_tokens=more)
    assert len(server.asked) == 1


def test_who_sees_is_shown_a_picture(server):
    expected, observed, holds = asked(server, "vision", said("Paris"), said("Red."))
    assert holds and "picture" in expected and "Red." in observed
    text, picture = server.asked[1][1]["messages"][0]["content"]
    assert text["type"] == "text" and picture["image_url"]["url"].startswith("data:image/png;base64,")
    png = base64.b64decode(picture["image_url"]["url"].partition(",")[2], validate=True)
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR"
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour) == (8, 2) and struct.unpack(">I", png[29:33])[0] == zlib.crc32(png[12:29])
    length = struct.unpack(">I", png[33:37])[0]
    assert len(zlib.decompress(png[41:41 + length])) == height * (1 + 3 * width)


@pytest.mark.parametrize("answers", [[said("Rome"), said("Red.")], [said("Paris"), said("", tokens=0)]])
def test_who_sees_has_to_answer_both(server, answers):
    assert asked(server, "vision", *answers)[2] is False


def vectors(*numbers):
    return 200, {"data": [{"index": place, "embedding": one} for place, one in enumerate(numbers)], "usage": {"prompt_tokens": 9}}


def test_vectors_are_of_the_headers_length(server):
    assert asked(server, "embeddings", vectors([0.1, 0, -0.2], [1, 2, 3]))[2] is True
    path, body = server.asked[0]
    assert path == "/v1/embeddings" and len(body["input"]) == 2
    assert asked(server, "embeddings", vectors([0.1] * 384, [1] * 384), width=0)[2] is True


@pytest.mark.parametrize("given", [
    vectors([0.1, 0, -0.2]), vectors(), vectors([0, 0, 0], [1, 2, 3]), vectors([1, 2, 3], [1, None, 3]), vectors([1, 2, 3], [1, float("nan"), 3]),
    vectors([1, 2, 3], [1, float("inf"), 3]), vectors([1, 2], [3, 4]), vectors([1, 2, 3], [1, "2", 3]), vectors([1, 2, 3], [True, True, True]), vectors([], []),
    (200, {"data": "none"}), (200, {}), (200, {"data": [{"index": 0}, {"index": 1}]}), (200, {"data": [1, 2]})])
def test_what_is_no_vector_of_finite_numbers_is_refused(server, given):
    assert asked(server, "embeddings", given)[2] is False


def ranked(*scores):
    return 200, {"results": [{"index": place, "relevance_score": score} for place, score in scores]}


def test_a_reranker_gives_each_document_a_score(server):
    expected, observed, holds = asked(server, "reranking", ranked((1, 0.9), (0, -3)))
    assert holds and observed == "scores -3, 0.9"
    path, body = server.asked[0]
    assert path == "/v1/rerank" and body["query"] and len(body["documents"]) == 2


@pytest.mark.parametrize("given", [ranked(), ranked((0, 1)), ranked((0, 1), (0, 2)), ranked((0, 1), (1, None)), ranked((0, 1), (1, float("nan"))),
                                   ranked((0, 1), (7, 1)), (200, {"results": None}), (200, {"results": [1]})])
def test_a_missing_score_is_noticed(server, given):
    assert asked(server, "reranking", given)[2] is False


def test_code_is_filled_in(server):
    assert asked(server, "completion", (200, {"content": "a + b"}))[2] is True
    path, body = server.asked[0]
    assert path == "/infill" and body["input_prefix"] and body["input_suffix"] and body["n_predict"] == 16
    assert asked(server, "completion", (200, {"content": ""}))[2] is False
    assert asked(server, "completion", (200, {"content": None}))[2] is False


@pytest.mark.parametrize("kind", ["chat", "vision", "embeddings", "reranking", "completion"])
@pytest.mark.parametrize("status, error", [(501, client.Refused), (500, client.Refused), (400, client.Refused), (503, client.NoAnswer)])
def test_a_server_that_does_not_do_it_is_told_from_one_that_is_not_there(server, kind, status, error):
    server.answers.append((status, {"error": {"message": "no"}}))
    with pytest.raises(client.NoAnswer) as refused:
        proof.ask(kind, server.url, WANTED, 10)
    assert refused.type is error and str(status) in str(refused.value)


@pytest.mark.parametrize("kind, good, bad", [
    ("chat", {"choices": []}, {"error": {}}), ("embeddings", vectors([1.0])[1], {"data": []}), ("reranking", ranked((0, 1))[1], {"results": []}),
    ("completion", {"content": "x"}, {"content": ""}), ("chat", {"choices": []}, None), ("embeddings", vectors([1.0])[1], "text")])
def test_an_answer_has_its_shape(kind, good, bad):
    assert proof.answered(kind, good) is True and proof.answered(kind, bad) is False
