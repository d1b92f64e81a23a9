"""How OpenAI's and Anthropic's APIs word an error, a tool and the choice of one, by their own references."""


def in_anthropics_words(answer, status, kind):
    """The message of an error that has Anthropic's shape, by the reference of its API."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"type", "error"} and body["type"] == "error", body
    assert body["error"]["type"] == kind and {"code", "param"}.isdisjoint(body["error"]), body
    return body["error"]["message"]


def in_openais_words(answer, status, kind):
    """The message of an error that has OpenAI's shape, by the reference of its API; its number is the answer's."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and (error["type"], error["code"]) == (kind, status), error
    return error["message"]


def tools_of(path, *names):
    """Tools as each API has them; one of them holds what a JSON library of Lua would change."""
    schema = {"type": "object", "properties": {}, "required": [], "maximum": 12345678901234567890}
    if path == "/v1/messages":
        return [{"name": name, "input_schema": schema} for name in names]
    if path == "/v1/responses":
        return [{"type": "function", "name": name, "parameters": schema} for name in names]
    return [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
CHAT_ALLOWS = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "b]}"}}]}}
RESPONSES_ALLOW = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "c"}, {"type": "function", "name": "a"}]}
CHOICES = [
    (CHAT, {"type": "function", "function": {"name": "b]}"}}, "required", ["b]}"]), (RESPONSES, {"type": "function", "name": "c"}, "required", ["c"]),
    (MESSAGES, {"type": "tool", "name": "a", "disable_parallel_tool_use": True}, {"type": "any"}, ["a"]), (MESSAGES, {"type": "none"}, None, None),
    (CHAT, CHAT_ALLOWS, "required", ["b]}"]), (RESPONSES, RESPONSES_ALLOW, "auto", ["a", "c"]),
    # What llama-server reads by itself, and what it shall judge itself, stays.
    (CHAT, "required", "required", ["a", "b]}", "c"]), (CHAT, "none", "none", ["a", "b]}", "c"]),
    (MESSAGES, {"type": "any"}, {"type": "any"}, ["a", "b]}", "c"]), (CHAT, None, None, ["a", "b]}", "c"]), (CHAT, [], [], ["a", "b]}", "c"]),
    *((CHAT, choice, choice, ["a", "b]}", "c"]) for choice in (
        {"type": "function", "function": {"name": "z"}}, {"type": "function", "function": 3}, {"type": "allowed_tools", "allowed_tools": {"tools": "a"}},
        {"type": ["function"]}))]
