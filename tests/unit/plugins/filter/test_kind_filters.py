"""What the roles ask of kinds: of which a service is."""
from ansible_collections.protocol_omni.bunker.plugins.filter import service_kind

SERVICE = {"name": "s", "model": "m", "kind": "auto", "extra_arguments": [], "context": 8192,
           "ladder": ["kv_to_ram", "context_4096", "long_contexts_to_executor"]}
MODEL = {"name": "m", "files": [{"name": "m.gguf"}]}
BERT = {"architecture": "bert", "pooling": 1, "head": False, "template": False, "fim": False, "width": 8, "context": 512, "vision": None}


def test_a_service_that_generates_nothing_has_no_ladder_and_reads_no_longer_texts_than_its_model():
    found = service_kind.kind_of(SERVICE, MODEL, BERT)
    assert found == {"kind": "embeddings", "problems": [], "definition": {"kind": "embeddings", "ladder": [], "context": 512}}
    assert service_kind.kind_of(dict(SERVICE, context=128), MODEL, BERT)["definition"]["context"] == 128
    assert service_kind.kind_of(SERVICE, MODEL, dict(BERT, context=None))["definition"]["context"] == 8192


def test_a_chat_keeps_its_ladder():
    found = service_kind.kind_of(SERVICE, MODEL, dict(BERT, architecture="llama", pooling=None))
    assert found["definition"] == {"kind": "chat", "ladder": SERVICE["ladder"], "context": 8192} and found["problems"] == []
    assert service_kind.kind_of(SERVICE, MODEL)["kind"] == "chat"


def test_a_contradiction_is_a_line_for_people():
    (line,) = service_kind.kind_of(dict(SERVICE, kind="chat"), MODEL, BERT)["problems"]
    assert line.startswith("1. service s: kind chat: ") and "embeddings" in line
