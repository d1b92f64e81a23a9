"""Models that llama.cpp's own library writes are judged and told by their headers as what they are."""
import gguf
import numpy
import pytest
from support import tiny_models, told_models

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


def said_by(path, after, steps):
    """What a model of told_models says behind a token: llama.cpp's arithmetic of weights whose attention and layers add nothing."""
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: numpy.array(tensor.data) for tensor in reader.tensors}
    assert all(not tensors[name].any() for name in tensors if name.startswith("blk.") and "norm" not in name)
    field = reader.fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[index]).decode() for index in field.data]
    found = [after]
    for _step in range(steps):
        hidden = tensors["token_embd.weight"][tokens.index(found[-1])]
        found.append(tokens[int((tensors["output.weight"] @ (hidden / numpy.sqrt((hidden ** 2).mean()))).argmax())])
    return found[1:]


@pytest.mark.parametrize("make, after, said", [
    (told_models.speaker, "\u010a", ["Paris", "<|im_end|>"]), (told_models.caller, "<|act|>", ["<tool_call>", "\u010a"]),
    (told_models.caller, '"', ["x", '"', "x"]),
    (told_models.caller, "\u010a", ["It", "\u0120is", "\u0120sunny", "\u0120there", "<|im_end|>"]), (told_models.caller, ">", ["<|im_end|>"]),
    (told_models.thinker, "\u010a", ["<think>", "Which", "\u0120capital", "\u0120could", "\u0120be", "\u0120meant", "</think>", "Paris", "<|im_end|>"])])
def test_a_told_model_says_what_it_was_told_to(tmp_path, make, after, said):
    make(tmp_path / "told.gguf")
    assert said_by(tmp_path / "told.gguf", after, len(said)) == said
    found = model_rules.judge(str(tmp_path.parent), {"name": tmp_path.name, "architecture": "llama", "files": [{"name": "told.gguf"}]})
    assert found["problems"] == [] and kinds.of_service({"name": "s", "model": "m", "kind": "auto", "extra_arguments": []}, found["facts"]) == "chat"
