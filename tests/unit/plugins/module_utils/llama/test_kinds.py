"""What a service is for: named, asked for by llama-server's own options, or told by a header; and where these cannot all be right."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds

SERVICE = {"name": "s", "model": "m", "kind": "auto", "extra_arguments": []}


def facts(architecture="llama", projector=None, tensors=(), **values):
    """Facts of a header; keys of the architecture by their last word, others with two underscores for dots."""
    metadata = {"general.architecture": architecture}
    for key, value in values.items():
        metadata[key.replace("__", ".") if "__" in key else "%s.%s" % (architecture, key)] = value
    return kinds.facts_of(metadata, tensors, projector)


FIM = {"tokenizer__ggml__fim_pre_token_id": 151659}
TEMPLATE = {"tokenizer__chat_template": "{{ messages }}"}
SIGHT = {"general.architecture": "clip", "clip.has_vision_encoder": True}
SOUND = {"general.architecture": "clip", "clip.has_audio_encoder": True}
HEAD = ("token_embd.weight", "cls.output.weight")


@pytest.mark.parametrize("given, kind", [
    (facts(), "chat"),
    (facts(**TEMPLATE), "chat"),
    (facts("qwen2", **FIM), "completion"),
    (facts("qwen2", **FIM, **TEMPLATE), "chat"),  # an instruct model knows the tokens too
    (facts("qwen3", pooling_type=3, **TEMPLATE), "embeddings"),
    (facts("bert", pooling_type=1), "embeddings"),
    (facts("bert", pooling_type=2), "embeddings"),
    (facts("bert", pooling_type=0), "embeddings"),
    (facts("nomic-bert"), "embeddings"), (facts("nomic-bert-moe"), "embeddings"), (facts("jina-bert-v2"), "embeddings"),
    (facts("jina-bert-v3"), "embeddings"), (facts("modern-bert"), "embeddings"), (facts("gemma-embedding"), "embeddings"),
    (facts("bert", pooling_type=4, tensors=HEAD), "reranking"),
    (facts("qwen3", pooling_type=4, tensors=HEAD, **TEMPLATE), "reranking"),
    (facts("bert", tensors=HEAD), "reranking"),  # from before the header said it
    (facts("bert", tensors=("cls.weight",), pooling_type=1), "embeddings"),
    (facts(pooling_type=0), "chat"),
    (facts(projector=SIGHT, **TEMPLATE), "vision"), (facts(projector={"general.architecture": "clip"}), "vision"),
    (facts(projector=SOUND), "chat"),
    (facts(projector=dict(SOUND, **SIGHT)), "vision"),
    (facts(pooling_type="mean"), "chat"), (facts(pooling_type=77), "chat"), (facts(pooling_type=True), "chat"),  # no number of a pooling
    ({}, "chat"),
])
def test_a_kind_is_told_from_the_header(given, kind):
    assert kinds.of_service(SERVICE, given) == kind


@pytest.mark.parametrize("words, kind", [
    ([], ""), (["--embeddings"], "embeddings"), (["--embedding"], "embeddings"), (["--rerank"], "reranking"), (["--reranking"], "reranking"),
    (["--embeddings", "--pooling", "rank"], "reranking"), (["--pooling", "mean", "--embeddings"], "embeddings"), (["--pooling", "mean"], ""),
    (["--temp", "0"], ""),
])
def test_options_of_llama_server_ask_for_a_kind(words, kind):
    assert kinds.asked_for(words) == kind
    assert kinds.of_service(dict(SERVICE, extra_arguments=words), facts()) == (kind or "chat")


def test_what_the_inventory_names_counts_before_what_the_header_tells():
    assert kinds.of_service(dict(SERVICE, kind="completion"), facts(**TEMPLATE)) == "completion"
    assert kinds.of_service(dict(SERVICE, extra_arguments=["--rerank"]), facts("bert", pooling_type=1)) == "reranking"


@pytest.mark.parametrize("kind, extra, given, words", [
    ("chat", [], facts(), []), ("vision", [], facts(projector=SIGHT), []), ("completion", [], facts(**FIM), []),
    ("embeddings", [], facts("bert", pooling_type=2), ["--embeddings"]),
    ("embeddings", [], facts("bert"), ["--embeddings", "--pooling", "mean"]),
    ("embeddings", [], facts("bert", pooling_type=0), ["--embeddings", "--pooling", "mean"]),  # llama-server refuses to answer with none
    ("embeddings", [], facts("qwen3"), ["--embeddings", "--pooling", "last"]),
    ("embeddings", ["--pooling", "cls"], facts("bert"), ["--embeddings"]),
    ("embeddings", ["--embedding"], facts("bert", pooling_type=1), []),
    ("embeddings", ["--embedding"], facts("bert"), ["--pooling", "mean"]),
    ("embeddings", [], {}, ["--embeddings"]),
    ("reranking", [], facts("bert", pooling_type=4, tensors=HEAD), ["--reranking"]),
    ("reranking", ["--rerank"], facts("bert"), []),
    ("reranking", ["--embeddings", "--pooling", "rank"], facts("bert"), []),
])
def test_llama_server_gets_what_a_kind_needs_once(kind, extra, given, words):
    assert kinds.server_words(dict(SERVICE, kind=kind, extra_arguments=extra), given) == words


@pytest.mark.parametrize("kind, extra, given, words", [
    ("chat", [], facts("bert", pooling_type=1), ["kind chat", "bert", "generates no text", "embeddings"]),
    ("vision", [], facts("nomic-bert", projector=SIGHT), ["kind vision", "generates no text"]),
    ("completion", [], facts("qwen3", pooling_type=4, tensors=HEAD), ["kind completion", "pooling rank", "reranking"]),
    ("reranking", [], facts("bert", pooling_type=1), ["kind reranking", "no head that classifies", "embeddings"]),
    ("auto", [], facts("qwen3", pooling_type=4), ["kind reranking", "no head that classifies"]),
    ("auto", ["--rerank"], facts(), ["kind reranking", "no head"]),
    ("embeddings", [], facts("bert", pooling_type=4, tensors=HEAD), ["kind embeddings", "it ranks", "reranking"]),
    ("vision", [], facts(projector=SOUND), ["kind vision", "sees nothing"]),
])
def test_a_definition_and_a_header_that_contradict_each_other_are_named(kind, extra, given, words):
    ((value, rule, remedy),) = kinds.contradictions(dict(SERVICE, kind=kind, extra_arguments=extra), given)
    said = " ".join((value, rule, remedy))
    assert value.startswith("service s: kind ") and remedy and [word for word in words if word not in said] == []


@pytest.mark.parametrize("kind, extra, given", [
    ("auto", [], facts()), ("chat", [], facts(**TEMPLATE)), ("auto", [], facts("bert")), ("embeddings", [], facts("llama")),
    ("chat", [], facts("qwen2", pooling_type=1, **TEMPLATE)),  # the pooling of a decoder is a default and no more
    ("reranking", [], facts("bert", tensors=HEAD)), ("embeddings", ["--pooling", "cls"], facts("bert", pooling_type=4, tensors=HEAD)),
    ("vision", [], facts(projector=SIGHT)), ("completion", [], facts(**TEMPLATE)), ("reranking", [], {}), ("chat", [], {}),
])
def test_what_goes_together_is_no_contradiction(kind, extra, given):
    assert kinds.contradictions(dict(SERVICE, kind=kind, extra_arguments=extra), given) == []


def test_the_length_of_a_vector_is_what_comes_out():
    assert facts("bert", embedding_length=384)["width"] == 384
    assert facts("bert", embedding_length=384, embedding_length_out=128)["width"] == 128
    assert facts("bert")["width"] is None
