"""Models that llama.cpp's own library writes are judged and told by their headers as what they are."""
import pytest
from support import tiny_models

from ansible_collections.protocol_omni.bunker.plugins.module_utils import model_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    tiny_models.write(folder / "tiny")
    return folder


@pytest.mark.parametrize("architecture, files, kind, words", [
    ("llama", ["chat.gguf"], "chat", []), ("llama", ["completion.gguf"], "completion", []), ("llama", ["last_token.gguf"], "embeddings", ["--embeddings"]),
    ("bert", ["embeddings.gguf"], "embeddings", ["--embeddings", "--pooling", "mean"]), ("bert", ["reranking.gguf"], "reranking", ["--reranking"]),
    ("llama", ["chat.gguf", "projector.gguf", "adapter.gguf", "template.jinja"], "vision", [])])
def test_a_model_is_judged_and_told(store, architecture, files, kind, words):
    roles = {"projector.gguf": "projector", "adapter.gguf": "adapter", "template.jinja": "chat_template"}
    found = model_rules.judge(str(store), {"name": "tiny", "architecture": architecture, "files": [
        {"name": name, "role": roles.get(name, "weights")} for name in files]})
    assert found["problems"] == [] and found["facts"]["width"] == 64
    service = {"name": "s", "model": "tiny", "kind": "auto", "extra_arguments": []}
    assert kinds.of_service(service, found["facts"]) == kind and kinds.contradictions(service, found["facts"]) == []
    assert kinds.server_words(dict(service, kind=kind), found["facts"]) == words


def test_a_reranker_without_its_head_is_refused(store):
    facts = model_rules.judge(str(store), {"name": "tiny", "architecture": "bert", "files": [{"name": "headless.gguf"}]})["facts"]
    ((_value, rule, _remedy),) = kinds.contradictions({"name": "s", "model": "tiny", "kind": "auto", "extra_arguments": []}, facts)
    assert "no head that classifies" in rule


def test_a_file_in_another_s_role_is_named(store):
    found = model_rules.judge(str(store), {"name": "tiny", "architecture": "llama", "files": [
        {"name": "chat.gguf"}, {"name": "adapter.gguf", "role": "projector"}, {"name": "projector.gguf", "role": "adapter"}]})
    assert [problem.split(": ")[1][:40] for problem in found["problems"]] == [
        "its general.architecture is llama, a pro", "its general.type is missing, an adapter'"]
