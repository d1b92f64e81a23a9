"""What the roles ask of kinds: of which a service is, what it is asked through the gateway, and who has answered."""
from ansible_collections.protocol_omni.bunker.plugins.filter import kind_question, kinds_answered, service_kind

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


def test_through_the_gateway_each_is_asked_what_it_is_for_and_few_tokens():
    found = kind_question.kind_question("", "Where?")
    assert found["path"] == "/v1/chat/completions" and found["body"]["max_tokens"] == 16 and found["body"]["messages"][0]["content"] == "Where?"
    assert [kind_question.kind_question(kind, "")["path"] for kind in ("embeddings", "reranking", "completion", "vision")] == [
        "/v1/embeddings", "/v1/rerank", "/infill", "/v1/chat/completions"]
    assert "max_tokens" not in kind_question.kind_question("embeddings", "")["body"]


def test_who_answered_is_who_said_so_in_the_right_shape():
    routes = {"a": {"kind": ""}, "b": {"kind": "embeddings"}, "c": {"kind": "embeddings"}, "d": {"kind": "chat"}}
    results = [
        {"item": {"name": "a"}, "status": 200, "json": {"choices": [{}]}, "x_bunker_service": "a"},
        {"item": {"name": "b"}, "status": 200, "json": {"data": [{"index": 0, "embedding": [1.0]}]}, "x_bunker_service": "b"},
        {"item": {"name": "c"}, "status": 200, "json": {"choices": [{}]}, "x_bunker_service": "c"},
        {"item": {"name": "d"}, "status": 503, "json": {"choices": [{}]}, "x_bunker_service": "d"}]
    assert kinds_answered.kinds_answered(results, routes) == ["a", "b"]
