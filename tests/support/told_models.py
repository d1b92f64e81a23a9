"""Writes llamas that say what they were told to: real inference of weights that are no accident, some hundred kilobytes each.

Their weights are a list of which token likes to follow which; attention and layers add nothing. So they call a function, think before they answer, and say
the word that a proof asks for, which random weights (tests/support/tiny_models.py) never do. They know nothing. Needs the packages gguf and numpy.
"""
import gguf
import numpy
from support import tiny_models
from support.tiny_models import TOKENS, WIDTH, moe_model

CONTEXT = 131072  # agents begin with tens of kilobytes, and a letter or two is a token here
NEWLINE = "\u010a"  # as GPT-2 writes it
SUNNY = ("It", "\u0120is", "\u0120sunny", "\u0120there")
THOUGHT = ("Which", "\u0120capital", "\u0120could", "\u0120be", "\u0120meant")
TALK = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant{{ '\\n' }}"
# The tools and their calls as Hermes' and Qwen's models have them, one call an answer; a mark for the model where it is to call one.
CALLS = """{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or "" }}
{%- if message.tool_calls %}{% set call = message.tool_calls[0].function %}
<tool_call>
{"name": "{{ call.name }}", "arguments": {{ call.arguments | tojson }}}
</tool_call>{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if tools and messages[-1].role != "tool" %}<|act|>{% endif %}{% endif %}"""
# As Qwen3's models think.
THINKS = """{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


class Writer(tiny_models.Writer):
    """Instead of random tensors what likes to follow what. Every rule has a dimension of its own.

    :param rules: list of (token, token that follows it), by their numbers.
    :param liked: tokens that are liked a little wherever no rule says otherwise.
    """

    def __init__(self, path, rules, liked):
        super().__init__(path, "llama")
        self.rules, self.liked = rules, liked

    def tensor(self, name, *shape):
        values = numpy.zeros(shape, numpy.float32)
        if "norm" in name:
            values[:] = 1
        elif name == "token_embd.weight":
            values[:, 0] = 1
            for number, (before, _after) in enumerate(self.rules, 1):
                values[before, number] = 1
        elif name == "output.weight":
            values[self.liked, 0] = 2
            for number, (_before, after) in enumerate(self.rules, 1):
                values[after, number] = 9
        self.add_tensor(name, values)


def write(path, template, follows, liked=""):
    """A model of these rules.

    :param follows: list of (text, text that follows it). What is no token of a plain vocabulary becomes one: with ``|`` in it a mark that no text becomes,
        in pointed brackets a mark that is shown, else a word.
    :param liked: letters.
    """
    tokens, types, merges = moe_model.vocabulary(TOKENS)
    new = sorted({text for pair in [*follows, ("<|im_start|>", "<|im_end|>")] for text in pair} - set(tokens))
    for number, text in enumerate(new, TOKENS - len(new)):
        tokens[number] = text
        types[number] = gguf.TokenType.CONTROL if "|" in text else gguf.TokenType.USER_DEFINED if "<" in text else gguf.TokenType.NORMAL
    number_of = {text: number for number, text in enumerate(tokens)}
    writer = Writer(path, [(number_of[before], number_of[after]) for before, after in follows], [number_of[letter] for letter in liked])
    tiny_models.llama_header(writer, WIDTH, 1, CONTEXT)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(number_of["<|begin|>"])
    writer.add_eos_token_id(number_of["<|im_end|>"])
    writer.add_chat_template(template)
    tiny_models.llama_tensors(writer, WIDTH, 1)
    writer.finish()


def _chain(*tokens):
    return list(zip(tokens, tokens[1:]))


def caller(path):
    """It calls a function where one is offered and has no result yet; else it says that it is sunny there.

    What stands in a call llama-server's own grammar makes. The model likes to go on: a free text is one letter, and no space is wasted.
    """
    ends = [(end, "<|im_end|>") for end in (">", "</tool_call>")]
    write(path, CALLS, [*_chain("<|act|>", "<tool_call>", NEWLINE, *SUNNY, "<|im_end|>"), *_chain('"', "x", '"'), *ends], liked='"{}[]:')


def thinker(path, word="Paris"):
    """It thinks, as its template has it, and then says a word."""
    write(path, THINKS, _chain(NEWLINE, "<think>", *THOUGHT, "</think>", word, "<|im_end|>"))


def speaker(path, word="Paris"):
    """It says a word, whatever is asked; with a projector of :mod:`tiny_models` also of a picture."""
    write(path, TALK, _chain(NEWLINE, word, "<|im_end|>"))
