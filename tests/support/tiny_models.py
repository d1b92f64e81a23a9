"""Writes the smallest models of each kind that llama.cpp loads: the true architecture, random weights, some hundred kilobytes each.

    python tests/support/tiny_models.py FOLDER

They show that a service starts, answers in its shape and is led to, never that it answers well. Needs the packages gguf and numpy.
"""
import pathlib
import sys

import gguf
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "gpu"))
import moe_model  # noqa: E402

WIDTH, LAYERS, HEADS, INNER = 64, 2, 4, 128
WORDS, TOKENS = 512, 1024  # of the two vocabularies
LONGEST = 512  # tokens that an encoder has positions for
SIDE, PATCH = 32, 8  # pixels
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "


class Writer(gguf.GGUFWriter):
    """A file of random tensors; weights of norms are ones."""

    def __init__(self, path, architecture):
        super().__init__(str(path), architecture)
        self.random = numpy.random.default_rng(1)

    def tensor(self, name, *shape):
        values = self.random.standard_normal(shape) * 0.05
        norm = name.endswith(".weight") and "norm" in name
        self.add_tensor(name, (numpy.ones(shape) if norm else values).astype(numpy.float32))

    def linear(self, name, out, into):
        self.tensor(name + ".weight", out, into)
        self.tensor(name + ".bias", out)

    def norm(self, name, width=WIDTH):
        self.tensor(name + ".weight", width)
        self.tensor(name + ".bias", width)

    def finish(self):
        self.write_header_to_file()
        self.write_kv_data_to_file()
        self.write_tensors_to_file()
        self.close()


def encoder(path, pooling=None, head=False):
    """A bert: a model of vectors; with a head that classifies a reranker.

    :param pooling: number of llama_pooling_type, None for a header that does not say.
    """
    writer = Writer(path, "bert")
    writer.add_context_length(LONGEST)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(gguf.PoolingType(pooling))
    _words(writer)
    writer.tensor("token_embd.weight", WORDS, WIDTH)
    writer.tensor("position_embd.weight", LONGEST, WIDTH)
    writer.tensor("token_types.weight", 2, WIDTH)
    writer.norm("token_embd_norm")
    for layer in range(LAYERS):
        block = "blk.%d." % layer
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.linear(block + name, WIDTH, WIDTH)
        writer.norm(block + "attn_output_norm")
        writer.linear(block + "ffn_up", INNER, WIDTH)
        writer.linear(block + "ffn_down", WIDTH, INNER)
        writer.norm(block + "layer_output_norm")
    if head:
        writer.linear("cls", WIDTH, WIDTH)
        writer.linear("cls.output", 1, WIDTH)
    writer.finish()


def _words(writer):
    """A vocabulary of single letters, as bert has its words: those that begin one carry a mark."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + ["\u2581" + letter for letter in letters + ".,?"] + list(letters)
    words += ["[unused%d]" % number for number in range(WORDS - len(words))]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * (WORDS - 5))
    writer.add_token_type_count(2)
    for add, number in ((writer.add_pad_token_id, 0), (writer.add_unk_token_id, 1), (writer.add_bos_token_id, 2), (writer.add_eos_token_id, 3),
                        (writer.add_sep_token_id, 3), (writer.add_mask_token_id, 4)):
        add(number)


def decoder(path, template="", fim=False, pooling=None, width=WIDTH, layers=LAYERS, context=4096):
    """A llama: it chats; with tokens to fill in it completes code, with a pooling it makes vectors. A larger width and more layers make it slow."""
    writer = Writer(path, "llama")
    llama_header(writer, width, layers, context)
    moe_model.add_tokenizer(writer, TOKENS, "qwen2")
    if template:
        writer.add_chat_template(template)
    if pooling is not None:
        writer.add_pooling_type(gguf.PoolingType(pooling))
    for number, name in enumerate(("pre", "suf", "mid") if fim else ()):
        writer.add_uint32("tokenizer.ggml.fim_%s_token_id" % name, 300 + number)
    llama_tensors(writer, width, layers)
    writer.finish()


def llama_header(writer, width, layers, context):
    """What a llama's header says of its shape."""
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_vocab_size(TOKENS)


def llama_tensors(writer, width, layers):
    """A llama's tensors."""
    writer.tensor("token_embd.weight", TOKENS, width)
    writer.tensor("output_norm.weight", width)
    writer.tensor("output.weight", TOKENS, width)
    for layer in range(layers):
        block = "blk.%d." % layer
        for name, shape in (("attn_norm", (width,)), ("ffn_norm", (width,)), ("attn_q", (width, width)), ("attn_k", (width // 2, width)),
                            ("attn_v", (width // 2, width)), ("attn_output", (width, width)), ("ffn_gate", (2 * width, width)), ("ffn_up", (2 * width, width)),
                            ("ffn_down", (width, 2 * width))):
            writer.tensor(block + name + ".weight", *shape)


def adapter(path):
    """A LoRA adapter for :func:`decoder`."""
    writer = Writer(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    writer.tensor("blk.0.attn_q.weight.lora_a", 4, WIDTH)
    writer.tensor("blk.0.attn_q.weight.lora_b", WIDTH, 4)
    writer.finish()


def projector(path):
    """The projector of a llava, for :func:`decoder`: pictures of 32 x 32 pixels."""
    width = WIDTH // 2
    writer = Writer(path, "clip")
    for name, value in (("has_vision_encoder", True), ("has_text_encoder", False), ("has_llava_projector", True), ("use_gelu", True)):
        writer.add_bool("clip." + name, value)
    writer.add_string("clip.projector_type", "mlp")
    for name, value in (("image_size", SIDE), ("patch_size", PATCH), ("embedding_length", width), ("feed_forward_length", WIDTH), ("block_count", LAYERS),
                        ("attention.head_count", HEADS), ("projection_dim", WIDTH)):
        writer.add_uint32("clip.vision." + name, value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for name in ("image_mean", "image_std"):
        writer.add_array("clip.vision." + name, [0.5] * 3)
    writer.tensor("v.patch_embd.weight", width, 3, PATCH, PATCH)
    writer.tensor("v.class_embd", width)
    writer.tensor("v.position_embd.weight", (SIDE // PATCH) ** 2 + 1, width)
    for name in ("pre_ln", "post_ln"):
        writer.norm("v." + name, width)
    for layer in range(LAYERS):
        block = "v.blk.%d." % layer
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            writer.linear(block + name, width, width)
        for name in ("ln1", "ln2"):
            writer.norm(block + name, width)
        writer.linear(block + "ffn_up", WIDTH, width)
        writer.linear(block + "ffn_down", width, WIDTH)
    writer.linear("mm.0", WIDTH, width)
    writer.linear("mm.2", WIDTH, WIDTH)
    writer.finish()


# Name of a file to what writes it.
FILES = {
    "embeddings.gguf": encoder, "reranking.gguf": lambda path: encoder(path, pooling=4, head=True), "headless.gguf": lambda path: encoder(path, pooling=4),
    "chat.gguf": lambda path: decoder(path, TEMPLATE), "completion.gguf": lambda path: decoder(path, fim=True),
    "last_token.gguf": lambda path: decoder(path, pooling=3), "adapter.gguf": adapter, "projector.gguf": projector,
    "template.jinja": lambda path: path.write_text(TEMPLATE, encoding="utf-8"),
}


def write(folder):
    """All of them.

    :param folder: pathlib.Path; it is made where it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        make(folder / name)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
