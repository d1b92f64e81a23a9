"""What counts as the words of an answer."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import answer


@pytest.mark.parametrize("message, words", [
    ({"content": " Paris.\n"}, "Paris."),
    ({"content": "", "reasoning_content": "The capital is Paris"}, "The capital is Paris"),
    ({"content": None, "reasoning_content": "It is Paris"}, "It is Paris"),
    ({"reasoning_content": "It is Paris"}, "It is Paris"),
    ({"content": "Paris", "reasoning_content": "They ask for France"}, "Paris They ask for France"),
    ({"content": [{"type": "text", "text": "Paris"}]}, ""),
    ({"content": 7}, ""), ({}, ""), (None, ""), ("Paris", ""),
])
def test_content_and_thoughts_are_words(message, words):
    assert answer.said({"choices": [{"message": message}]}) == words


@pytest.mark.parametrize("found", [
    None, "", [], {}, {"choices": None}, {"choices": []}, {"choices": ["x"]}, {"choices": {"message": {}}}, {"error": {"code": 501}}])
def test_what_is_no_answer_holds_no_words(found):
    assert answer.said(found) == ""


def cut(message, ended="length"):
    return {"choices": [{"message": message, "finish_reason": ended}]}


@pytest.mark.parametrize("given, thinks", [
    (cut({"content": "", "reasoning_content": "The user"}), True), (cut({"content": None, "reasoning_content": "The user"}), True),
    (cut({"reasoning_content": "The user"}), True), (cut({"content": "<think>\nThe user"}), True),
    (cut({"content": "<think>The user</think>\nPar"}), False), (cut({"content": "Par", "reasoning_content": "The user"}), False),
    (cut({"content": "", "reasoning_content": "The user"}, "stop"), False), (cut({"content": ""}), False), (cut({"content": "Par"}), False),
    *((cut({"content": opens + "The user"}), True) for opens in (
        "[THINK]", "<seed:think>", "<mm:think>", "<thinking>\n", "<|think|>", "<|START_THINKING|>", "<|channel|>analysis<|message|>", "<|channel>thought\n")),
    *((cut({"content": "%sThe user%sPar" % tags}), False) for tags in (
        ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"), ("<|think|>", "<|end|>"), ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"), ("<|channel>thought\n", "<channel|>"))),
    (cut({"content": "I think <think> is a tag"}), False), (cut({"content": "<b>I think"}), False),
    (cut({"content": 1, "reasoning_content": []}), False), (cut(None), False), ({}, False), (None, False)])
def test_who_was_cut_off_in_a_thought_is_told(given, thinks):
    assert answer.still_thinking(given) is thinks
