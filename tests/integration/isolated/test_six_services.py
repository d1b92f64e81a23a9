"""Six services at once on one host, one for each thing that models are for: all claims hold, and each does its own through the gateway.

The chat's model is real. No package registry has a real one of the other kinds that small, so theirs are of true architectures with weights of no worth:
random ones (tests/support/tiny_models.py), and for those that have to say a word ones that say it (tests/support/told_models.py).
"""
import base64
import hashlib
import ssl
import struct
import subprocess
import zlib

import httpx2
import pytest
from support import image, tiny_models, told_models
from support.hosts import Host, bare

pytestmark = pytest.mark.full
NAME, ADDRESS, STORE = "bunker-test-six-services", "172.29.253.37", "/root/models"
MODELS = {  # name to architecture, and the files with their roles
    "thinker": ("llama", {"thinker.gguf": "weights"}), "seer": ("llama", {"speaker.gguf": "weights", "projector.gguf": "projector"}),
    "vectors": ("bert", {"embeddings.gguf": "weights"}), "ranks": ("bert", {"reranking.gguf": "weights"}), "coder": ("llama", {"completion.gguf": "weights"}),
}
KINDS = {"oracle": "chat", "thinker": "chat", "embedder": "embeddings", "ranker": "reranking", "seer": "vision", "coder": "completion"}
MODEL_OF = {"oracle": "smollm2-135m-instruct-q4_1", "embedder": "vectors", "ranker": "ranks"}  # the others are called as their services
QUESTION = "What is the capital of France? Answer with one word."


def entry(folder, name):
    """The catalogue's entry of a model whose files lie in a folder, and on the host in STORE."""
    architecture, files = MODELS[name]
    return {"name": name, "architecture": architecture, "files": [
        {"name": file, "role": role, "size": (folder / file).stat().st_size, "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
         "source": {"file": "%s/%s" % (STORE, file)}} for file, role in files.items()]}


def service(number, name):
    """A service of the inventory. Its kind is told by the model's own header."""
    more = {"answer_tokens": 4} if name == "thinker" else {}  # used up by its first thought: it is given more, and says the word
    return {"name": name, "model": MODEL_OF.get(name, name), "device": "cpu", "port": 8000 + number, "context": 512 if name in ("embedder", "ranker") else 2048,
            "threads": "1", "networks": [{"name": "omni-network", "address": "172.30.0.%d" % (10 + number)}], **more}


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    """The host with all six, after the first run of site.yml."""
    image.provide()
    folder = tmp_path_factory.mktemp("six")
    models = folder / "models"
    tiny_models.write(models)
    told_models.thinker(models / "thinker.gguf")
    told_models.speaker(models / "speaker.gguf")
    variables = dict(image.variables(), model_store_extra_models=[entry(models, name) for name in MODELS], gateway_fallbacks={}, observability_enabled=False,
                     bunker_services=[service(number, name) for number, name in enumerate(KINDS)], inference_service_speed_bound=2, gateway_tokenize=True)
    with bare(NAME):
        host = Host(NAME, folder, variables)
        subprocess.run(["docker", "cp", "--quiet", "%s/." % models, "%s:%s" % (NAME, STORE)], check=True)
        host.first = host.run("site.yml").assert_ok()
        yield host


@pytest.fixture(scope="module")
def client(six):
    (six.folder / "gateway.pem").write_text(six.sh("cat /etc/protocol_omni/gateway/self_signed.pem"), encoding="ascii")
    key = six.sh("cat /etc/protocol_omni/gateway/operator.key")
    with httpx2.Client(base_url="https://%s:8443" % ADDRESS, headers={"Authorization": "Bearer " + key}, timeout=60,
                       verify=ssl.create_default_context(cafile=str(six.folder / "gateway.pem"))) as found:
        yield found


def ask(client, path, model, **body):
    answer = client.post(path, json={"model": model, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_no_claim_fails_and_each_service_has_its_own(six):
    claims = {claim["id"]: claim for claim in six.report()["claims"]}
    assert {name: claim["reason"] for name, claim in claims.items() if claim["status"] == "fails"} == {}
    for name in KINDS:
        assert claims["%s.answers" % name]["status"] == "holds", claims


def test_another_run_changes_nothing_and_proves_them_once_more(six):
    again = six.run("site.yml").assert_ok()
    assert again.changed == set()
    assert not [claim for claim in six.report()["claims"] if claim["status"] == "fails"]


def test_the_gateway_tells_what_each_is_for(client):
    assert {model["id"]: model["meta"]["kind"] for model in client.get("/v1/models").json()["data"]} == KINDS


def test_one_chats(client):
    said = ask(client, "/v1/chat/completions", "oracle", messages=[{"role": "user", "content": QUESTION}], max_tokens=32, temperature=0)
    assert "Paris" in said["choices"][0]["message"]["content"]


def test_one_thinks_before_it_answers(client):
    message = ask(client, "/v1/chat/completions", "thinker", messages=[{"role": "user", "content": QUESTION}], max_tokens=64)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Which capital could be meant", "Paris")
    message = ask(client, "/v1/chat/completions", "thinker", messages=[{"role": "user", "content": QUESTION}], max_tokens=4)["choices"][0]["message"]
    assert message["reasoning_content"] and not message.get("content")


def test_one_makes_vectors(client):
    data = ask(client, "/v1/embeddings", "embedder", input=["a b", "c"])["data"]
    assert [len(one["embedding"]) for one in data] == [64, 64] and data[0]["embedding"] != data[1]["embedding"]


def test_one_ranks(client):
    results = ask(client, "/v1/rerank", "ranker", query="a", documents=["a b", "c", "d"])["results"]
    assert sorted(one["index"] for one in results) == [0, 1, 2] and len({one["relevance_score"] for one in results}) > 1


def picture():
    """A PNG of 32 x 32 pixels as a data URL."""
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([8 * line, 0, 255]) * 32 for line in range(32))
    data = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def test_one_sees(client):
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": picture()}}]
    seen = ask(client, "/v1/chat/completions", "seer", messages=[{"role": "user", "content": parts}], max_tokens=8)
    blind = ask(client, "/v1/chat/completions", "seer", messages=[{"role": "user", "content": parts[:1]}], max_tokens=8)
    assert seen["choices"][0]["message"]["content"] == "Paris"
    assert seen["usage"]["prompt_tokens"] - blind["usage"]["prompt_tokens"] >= 16  # a token for each patch of 8 x 8


def test_one_fills_in(client):
    assert ask(client, "/infill", "coder", input_prefix="def f(", input_suffix="):", n_predict=8)["tokens_predicted"] > 0


@pytest.mark.parametrize("path, model, body", [
    ("/v1/chat/completions", "embedder", {"messages": []}), ("/v1/embeddings", "oracle", {"input": "a"}), ("/v1/rerank", "embedder", {"query": "a"})])
def test_none_is_led_to_what_it_is_not_for(client, path, model, body):
    answer = client.post(path, json={"model": model, **body})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "wrong_kind_of_model", answer.text
