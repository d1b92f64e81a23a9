"""What an inventory says of kinds and of files with roles: sound ones have no problem, each fault is named with value, rule and remedy."""
import copy

import pytest
from test_inventory_rules import HASH, SOUND

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules, kind_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles


def file(name, **values):
    return {"name": name, "sha256": HASH, "size": 1, "source": {"file": "/tmp/" + name}, **values}


WEIGHTS, PROJECTOR, TEMPLATE = file("tiny.gguf"), file("mmproj-tiny.gguf", role="projector"), file("tiny.jinja", role="chat_template")
ADAPTER = file("law.gguf", role="adapter", scale=0.5)


def problems(files=(WEIGHTS,), fallbacks=None, **service):
    inventory = copy.deepcopy(SOUND)
    inventory["model_store_catalogue"][0]["files"] = copy.deepcopy(list(files))
    inventory["bunker_services"][0].update(service)
    inventory["gateway_fallbacks"] = fallbacks or {}
    return inventory_rules.check(inventory) + kind_rules.check(inventory)


@pytest.mark.parametrize("files, service", [
    ([WEIGHTS], {}), ([WEIGHTS, PROJECTOR], {}), ([PROJECTOR, WEIGHTS], {"kind": "vision"}),
    ([WEIGHTS, PROJECTOR, TEMPLATE, ADAPTER, file("b.gguf", role="adapter")], {}),
    ([file("t-00001-of-00002.gguf"), PROJECTOR, file("t-00002-of-00002.gguf")], {}),  # a projector is no shard, wherever it stands
    ([WEIGHTS], {"kind": "embeddings"}), ([WEIGHTS], {"kind": "embeddings", "ladder": kind_rules.DEFAULT_LADDER}),
    ([WEIGHTS], {"extra_arguments": ["--embeddings"]}), ([WEIGHTS], {"kind": "reranking", "extra_arguments": ["--rerank"]}),
    ([WEIGHTS], {"kind": "completion", "ladder": ["experts_to_ram"], "draft_model": "tiny"}), ([WEIGHTS], {"kind": "chat", "thinking_tokens": 0}),
    ([WEIGHTS], {"kind": "embeddings", "expected": {"memory": 1, "generation_speed": 0, "prompt_speed": 100}}),
])
def test_sound_ones(files, service):
    assert problems(files, **service) == []


@pytest.mark.parametrize("files, service, value, remedy", [
    ([PROJECTOR], {}, "tiny has no weights", "without a role"),
    ([WEIGHTS, PROJECTOR, file("other.gguf", role="projector")], {}, "projector mmproj-tiny.gguf, other.gguf", "a model for each"),
    ([WEIGHTS, TEMPLATE, file("other.jinja", role="chat_template")], {}, "chat_template tiny.jinja, other.jinja", "a model for each"),
    ([file("tiny.gguf", scale=0.5)], {}, "file tiny.gguf: scale 0.5", "role: adapter"),
    ([WEIGHTS, file("a.gguf", role="adapter", scale=1e9)], {}, "scale 1e+09", "example 1"),
    ([WEIGHTS, file("mmproj-tiny.gguf")], {}, "file tiny.gguf as number 1 of 2", "A projector, a chat template or an adapter says so by its role"),
    ([WEIGHTS, file("mmproj-tiny.gguf", role="projector", sha256="")], {}, "file mmproj-tiny.gguf: no sha256", "sha256sum"),
    ([WEIGHTS], {"kind": "vision"}, "kind vision", "role: projector"),
    ([WEIGHTS, PROJECTOR], {"kind": "chat"}, "kind chat with a projector",
     "Leave kind out. Where the projector is for sound the service chats as before, and hears; where it is for pictures it is vision"),
    ([WEIGHTS, PROJECTOR], {"kind": "embeddings"}, "kind embeddings: projector mmproj-tiny.gguf", "has none"),
    ([WEIGHTS, PROJECTOR], {"extra_arguments": ["--reranking"]}, "kind reranking: projector", "has none"),
    ([WEIGHTS], {"kind": "chat", "extra_arguments": ["--embeddings"]}, "kind chat with extra arguments that make it embeddings", "one of the two"),
    ([WEIGHTS], {"kind": "reranking", "extra_arguments": ["--embedding"]}, "kind reranking with extra arguments", "one of the two"),
    ([WEIGHTS], {"kind": "embeddings", "draft_model": "tiny"}, "kind embeddings: draft_model tiny", "Remove it"),
    ([WEIGHTS], {"kind": "embeddings", "speculation": "ngram"}, "kind embeddings: speculation", "Remove it"),
    ([WEIGHTS], {"extra_arguments": ["--embeddings"], "ladder": ["context_4096"]}, "kind embeddings: ladder context_4096", "Remove it"),
    ([WEIGHTS], {"kind": "reranking", "expected": {"generation_speed": 9.5}}, "expected generation_speed 9.5", "prompt_speed"),
    ([WEIGHTS], {"thinking_tokens": -1}, "thinking_tokens -1", "1024"),
    ([WEIGHTS], {"extra_arguments": ["--mmproj", "/models/x.gguf"]}, "extra argument --mmproj", "a file of its with role: projector"),
    ([WEIGHTS], {"extra_arguments": ["--lora_scaled", "/models/x.gguf:1"]}, "extra argument --lora-scaled", "role: adapter"),
    ([WEIGHTS], {"extra_arguments": ["--chat-template-file", "/models/x"]}, "extra argument --chat-template-file", "role: chat_template"),
])
def test_one_fault_is_one_problem(files, service, value, remedy):
    found = problems(files, **service)
    assert len(found) == 1, found
    assert value in found[0].value and remedy in found[0].remedy and found[0].rule


@pytest.mark.parametrize("first, second, fine", [
    ("chat", "embeddings", False), ("embeddings", "reranking", False), ("embeddings", "embeddings", True), ("chat", "completion", True),
    ("auto", "embeddings", True)])
def test_who_stands_in_for_a_service_is_of_its_kind(first, second, fine):
    inventory = copy.deepcopy(SOUND)
    for service, kind in zip(inventory["bunker_services"], (first, second)):
        service["kind"] = kind
    inventory["gateway_fallbacks"] = {"oracle": "executor"}
    found = kind_rules.check(inventory)
    assert [problem.value for problem in found] == ([] if fine else ["gateway_fallbacks: oracle: executor"])


@pytest.mark.parametrize("kind, fine", [("chat", True), ("completion", True), ("auto", True), ("embeddings", False), ("reranking", False)])
def test_no_provider_stands_in_for_vectors_and_ranks(kind, fine):
    inventory = copy.deepcopy(SOUND)
    inventory["bunker_services"][0]["kind"] = kind
    inventory["gateway_failsafes"] = {"oracle": "kimi"}
    found = kind_rules.check(inventory)
    assert [problem.value for problem in found] == ([] if fine else ["gateway_failsafes: oracle: kimi"])
    assert fine or kind in found[0].rule


def test_the_default_ladder_is_the_specs():
    options = collection_roles.argument_options("inference_service")["inference_service_definition"]["options"]
    assert options["ladder"]["default"] == kind_rules.DEFAULT_LADDER
    assert options["kind"]["choices"] == ["auto", *kinds.KINDS]


def test_what_only_the_header_tells_is_judged_when_it_is_read():
    service = dict(SOUND["bunker_services"][0], kind="auto", ladder=["context_4096"])
    bert = kinds.facts_of({"general.architecture": "bert"})
    assert [problem.value for problem in kind_rules.of_header(service, bert)] == ["service oracle: kind embeddings: ladder context_4096"]
    assert [problem.value for problem in kind_rules.of_header(dict(service, kind="chat"), bert)] == ["service oracle: kind chat"]
    assert kind_rules.of_header(service, {}) == []
    llama = kinds.facts_of({"general.architecture": "llama"}, projector={"general.architecture": "clip"})
    assert kind_rules.of_header(service, llama, [WEIGHTS, PROJECTOR]) == []
