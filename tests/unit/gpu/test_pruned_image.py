"""The step that asks an image and its pruned copy, without a card: what it makes of the host's words, and in which order it asks."""
import io
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "gpu" / "site"))

import card_site  # noqa: E402
import pruned_image  # noqa: E402
import same_tokens  # noqa: E402

SAID = """%(a)s  libcublas.so.13
%(b)s  libcublasLt.so.13
{"file": "libcublas.so.13", "emptied": 3}
{"file": "libcublasLt.so.13", "emptied": 5}
%(c)s  libcublas.so.13
%(d)s  libcublasLt.so.13
"""
HASHES = {name: name * 64 for name in "abcd"}


class Host:
    """Answers as a card's host would, and keeps what it was asked."""

    uuids = ["GPU-1"]

    def __init__(self, alive=5.0):
        self.commands, self.servers, self.written, self.alive = [], [], [], alive

    def execute(self, command, check=True):
        self.commands.append(command)
        if "docker commit" in command:
            return "sha256:pruned\n"
        if "docker logs pruned-calls" in command:
            return "I! cuBLAS (v13.0) function cublasStatus_t cublasGemmEx(...) called:\n" * 2
        return SAID % HASHES if "prune-device-code" in command else ""

    def write(self, path, text):
        self.written.append(path)

    def oracle_image(self):
        return "sha256:whole"

    def oracle_words(self):
        return "--model m --host 0.0.0.0 --port 8000".split(), []

    def begin_server(self, name, image, gpus, model, words, *options):
        self.servers.append((name, image, words[words.index("--port") + 1], "off" in words, "CUBLAS_LOGINFO_DBG=1" in options))
        return "http://127.0.0.1:" + words[words.index("--port") + 1]

    def wait_until(self, alive, seconds, address):
        return self.alive

    def answers(self, words):
        return {"asked": words}


def test_it_is_a_step_of_the_card():
    assert card_site.STEPS["pruned"] is pruned_image.pruned


def test_whole_and_pruned_are_asked_side_by_side_and_taken_away(monkeypatch):
    monkeypatch.setattr(pruned_image, "smi", lambda *_words: "9.0\n9.0\n")
    host = Host()
    found = pruned_image.pruned(host)
    assert host.servers == [
        ("pruned-whole", "sha256:whole", "18100", False, False), ("pruned-pruned", "sha256:pruned", "18101", False, False),
        ("pruned-calls", "sha256:pruned", "18102", False, True),
        ("pruned-whole", "sha256:whole", "18110", True, False), ("pruned-pruned", "sha256:pruned", "18111", True, False),
        ("pruned-calls", "sha256:pruned", "18112", True, True)]
    assert found["as_deployed"]["in_turns"]["asked"] == "turns.py 30 512 128 whole=http://127.0.0.1:18100 pruned=http://127.0.0.1:18101"
    assert found["without_flash_attention"]["calls"] == {"cublasGemmEx": 2}
    assert found["sha256"] == {"libcublas.so.13": ["a" * 64, "c" * 64], "libcublasLt.so.13": ["b" * 64, "d" * 64]}
    names, = [word for command in host.commands for word in command.split() if word.startswith("compute_")]
    assert "sm_80" in names.split(",") and not {"sm_90", "sm_90a", "compute_75", "compute_90"} & set(names.split(","))
    assert "docker image rm omni/pruned:test" in host.commands[-1]


def test_a_server_that_does_not_come_up_ends_the_step_and_leaves_nothing(monkeypatch):
    monkeypatch.setattr(pruned_image, "smi", lambda *_words: "9.0\n")
    host = Host(alive=None)
    with pytest.raises(RuntimeError, match="pruned-whole does not serve"):
        pruned_image.pruned(host)
    assert "docker rm -f pruned-whole pruned-pruned pruned-calls" in host.commands[-1]


@pytest.mark.parametrize("hashes, library", [(dict(HASHES, c="a" * 64), "libcublas.so.13"), (dict(HASHES, d="b" * 64), "libcublasLt.so.13")])
def test_libraries_that_are_as_they_were_prove_nothing(hashes, library):
    with pytest.raises(RuntimeError, match="nothing was emptied of %s" % library):
        pruned_image.emptied(SAID % hashes)


def said(logprob, tokens=(5, 7)):
    return {"tokens": list(tokens), "logprobs": [[5, logprob]]}


def test_answers_are_the_same_to_the_last_digit():
    one, other = said("-0.1234567"), said("-0.1234568")
    assert same_tokens.compared([{"whole": one, "pruned": one}, {"whole": one, "pruned": other}]) == {
        "asked": 2, "equal": 1, "logprobs": 2, "first_that_differs": {"whole": one, "pruned": other}}
    assert same_tokens.compared([{"whole": one, "pruned": json.loads(json.dumps(one))}]) == {"asked": 1, "equal": 1, "logprobs": 1}


def test_a_token_without_a_probability_is_compared_as_well():
    assert same_tokens.compared([{"whole": said("-0.1"), "pruned": said("-0.1", (5, 8))}])["equal"] == 0


@pytest.mark.parametrize("tokens, told", [([5, 7, 9], [[5, "-0.1"]]), ([5, 7, 9], [])], ids=["in the middle of a character", "none told"])
def test_a_server_tells_fewer_probabilities_than_tokens(monkeypatch, tokens, told):
    """As llama-server answers where a token ends in the middle of a character."""
    text = json.dumps({"tokens": tokens, "completion_probabilities": [{"id": one, "logprob": float(value)} for one, value in told]})
    monkeypatch.setattr(same_tokens.urllib.request, "urlopen", lambda request, timeout: io.StringIO(text))
    if told:
        assert same_tokens.answer("http://127.0.0.1:1", 0, 4, 3) == {"tokens": tokens, "logprobs": told}
        with pytest.raises(SystemExit, match="told 3 tokens of 4, and 1 probabilities"):
            same_tokens.answer("http://127.0.0.1:1", 0, 4, 4)
    else:
        with pytest.raises(SystemExit, match="told 3 tokens of 3, and 0 probabilities"):
            same_tokens.answer("http://127.0.0.1:1", 0, 4, 3)


class Site(Host):
    """A host on which site.yml has deployed another image, or has not."""

    def __init__(self, images=("sha256:whole", "sha256:less"), claim="holds", others=()):
        super().__init__()
        self.images, self.claim, self.others, self.changed = list(images), claim, dict(others), None

    def write_inventory(self):
        self.written.append("inventory")

    def play(self, name, changed):
        self.changed = changed
        return {"status": 2}

    def report(self):
        return {"image.pruned": {"status": self.claim, "expected": "e", "observed": "o"}}

    def not_holding(self):
        return {"image.pruned": [self.claim, ""], **self.others}

    def oracle_image(self):
        return self.images.pop(0)

    def execute(self, command, check=True):
        self.commands.append(command)
        return "" if "command -v zstd" in command else "700" if "whole" in command else "300"

    def ask(self, tokens):
        return {"generation": 7}


def test_the_site_is_deployed_with_a_pruned_image_and_asked():
    host = Site()
    found = pruned_image.pruned_site(host)
    assert host.changed == {"golden_image_prune": True} and found["claim"]["status"] == "holds" and found["another_image"]
    assert found["bytes"] == {"whole": {"": 700, "gzip -6": 700}, "pruned": {"": 300, "gzip -6": 300}} and len(found["answers"]) == 10


@pytest.mark.parametrize("host", [Site(claim="fails"), Site(images=["sha256:whole"] * 2), Site(others={"oracle.placed": ["fails", ""]})],
                         ids=["claim", "the image that was there", "another claim"])
def test_a_pruned_site_that_is_not_one_ends_the_step(host):
    with pytest.raises(RuntimeError, match="image.pruned|another_image|oracle.placed"):
        pruned_image.pruned_site(host)
