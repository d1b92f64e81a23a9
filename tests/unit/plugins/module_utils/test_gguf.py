"""GGUF headers, written here byte by byte after the format's description."""
import io
import pathlib
import struct
import time

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gguf import GGUFError, read_file, read_header, read_model, whole


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def header(*pairs, version=3, tensors=2):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs)


ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("deepseek2")
CONTEXT = text("deepseek2.context_length") + struct.pack("<II", 4, 163840)
SCORES = text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<fff", 1, 2, 3)
TOKENS = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bb")
SPLIT = text("split.count") + struct.pack("<IH", 2, 7)
ENOUGH = 5  # seconds of the processor, of which an idle one takes a third of one and a busy one three times that; a loop too many takes minutes


def key(name, kind, form="", *values):
    return text(name) + struct.pack("<I" + form, kind, *values)


def array(name, kind, count, data=b""):
    return key(name, 9, "IQ", kind, count) + data


def test_scalars_strings_and_short_lists_are_read_and_other_arrays_passed_over():
    heads = array("deepseek2.attention.head_count_kv", 4, 3, struct.pack("<III", 0, 8, 0))
    metadata = read_header(io.BytesIO(header(SCORES, ARCHITECTURE, TOKENS, CONTEXT, SPLIT, heads, tensors=0))).metadata
    assert metadata == {"version": 3, "tensor_count": 0, "general.architecture": "deepseek2", "deepseek2.context_length": 163840, "split.count": 7,
                        "deepseek2.attention.head_count_kv": [0, 8, 0]}


def tensor(name, kind, offset, *dimensions):
    return text(name) + struct.pack("<I%dQIQ" % len(dimensions), len(dimensions), *dimensions, kind, offset)


@pytest.mark.parametrize("tensors, beyond", [
    ([tensor("a", 0, 0, 4, 2)], 32),  # 8 elements of F32
    ([tensor("a", 0, 0, 8), tensor("b", 3, 32, 64, 3)], 32 + 6 * 20),  # 6 blocks of 32 elements of Q4_1
    ([tensor("b", 12, 64, 512), tensor("a", 0, 0, 1)], 64 + 2 * 144),  # the order of the list is not that of the data
    ([tensor("a", 99, 128, 8)], 128),  # of a type that is not known, up to its beginning
])
def test_how_long_a_whole_file_is(tensors, beyond):
    data = header(ARCHITECTURE, tensors=len(tensors)) + b"".join(tensors)
    metadata, _tensors, end = read_header(io.BytesIO(data))
    assert metadata["general.architecture"] == "deepseek2"
    start = (len(data) + 31) // 32 * 32
    assert end == start + beyond


def test_an_alignment_of_its_own_is_heeded():
    alignment = text("general.alignment") + struct.pack("<II", 4, 4096)
    assert read_header(io.BytesIO(header(alignment, tensors=1) + tensor("a", 24, 0, 10))).length == 4096 + 10


PLAIN = tensor("a", 0, 0, 8)
# What a header can be, and the words that it is refused with. Where llama.cpp refuses too, its rule is named in module_utils/gguf.py.
REFUSED = {
    "nothing": (b"", "at byte 0: it does not begin with GGUF"),
    "a zip": (b"PK\x03\x04" + b"\0" * 40, "does not begin with GGUF"),
    "an older version": (header(version=1), "at byte 4: its format version is 1"),
    "cut in a value": (header(ARCHITECTURE, tensors=0)[:-3], "ends inside its header"),
    "a value of no type": (header(key("x", 99), tensors=0), "x is a value of unknown type 99"),
    "a key of 2**60 bytes": (header(struct.pack("<Q", 2**60) + b"\0" * 40, tensors=0), "at byte 24: a string of 1152921504606846976 bytes"),
    "a key longer than the format allows": (header(text("k" * 65536) + struct.pack("<II", 4, 1), tensors=0), "a string of 65536 bytes"),
    "a string longer than the file": (header(key("x", 8, "Q", 1 << 20), tensors=0), "ends inside its header"),
    "a list of tensors that is cut off": (header(ARCHITECTURE, tensors=2) + tensor("a", 0, 0, 4), "ends inside its header"),
    "2**63 tensors": (header(ARCHITECTURE, tensors=2**63) + PLAIN, "promises 9223372036854775808 tensors"),
    "2**64 - 1 keys": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**64 - 1) + ARCHITECTURE, "promises 18446744073709551615 keys"),
    "an array of 2**64 - 1 numbers": (header(array("x", 4, 2**64 - 1, b"\0" * 64), tensors=0), "an array of 18446744073709551615 elements"),
    "an array of 2**61 numbers": (header(array("x", 10, 2**61, b"\0" * 64), tensors=0), "an array of 2305843009213693952 elements"),
    "an array of 2**64 - 1 strings": (header(array("x", 8, 2**64 - 1, b"\0" * 64), tensors=0), "an array of 18446744073709551615 strings"),
    "a string in an array that leads out of the file": (header(array("x", 8, 2, struct.pack("<QQ", 0, 2**62)), tensors=0), "ends inside its header"),
    "arrays in arrays, 1,200 deep": (header(key("x", 9) + struct.pack("<IQ", 9, 1) * 1200, tensors=0), "elements of type 9"),
    "an array of no type": (header(array("x", 77, 1, b"\0" * 8), tensors=0), "elements of type 77"),
    "an architecture that is a number": (header(key("general.architecture", 4, "I", 1), tensors=0), "general.architecture has type 4, and is a string"),
    "an architecture that is a list": (header(array("general.architecture", 4, 2, struct.pack("<II", 1, 2)), tensors=0), "general.architecture has type 9"),
    "an alignment of 0": (header(key("general.alignment", 4, "I", 0), tensors=1) + PLAIN, "general.alignment is 0"),
    "an alignment that is no power of two": (header(key("general.alignment", 4, "I", 48), tensors=1) + PLAIN, "general.alignment is 48"),
    "an alignment that is a string": (header(key("general.alignment", 8, "Q2s", 2, b"32"), tensors=1) + PLAIN, "general.alignment is '32'"),
    "an alignment that is not a number": (header(key("general.alignment", 6, "f", float("nan")), tensors=1) + PLAIN, "general.alignment is nan"),
    "an alignment without end": (header(key("general.alignment", 12, "d", float("inf")), tensors=1) + PLAIN, "general.alignment is inf"),
    "an alignment below zero": (header(key("general.alignment", 5, "i", -32), tensors=1) + PLAIN, "general.alignment is -32"),
    "an alignment of truth": (header(key("general.alignment", 7, "?", True), tensors=1) + PLAIN, "general.alignment is True"),
    "an alignment that is an array": (
        header(array("general.alignment", 4, 1, struct.pack("<I", 32)), tensors=1) + PLAIN,
        "general.alignment is \\[32\\]"),
    "a key twice": (header(ARCHITECTURE, ARCHITECTURE, tensors=0), "the key general.architecture stands there twice"),
    "a tensor twice": (header(ARCHITECTURE, tensors=2) + PLAIN + PLAIN, "the tensor a stands there twice"),
    "100,000 dimensions": (header(ARCHITECTURE, tensors=1) + text("a") + struct.pack("<I", 100000) + b"\1" * 64, "a has 100000 dimensions, possible are 4"),
    "a product of dimensions beyond 64 bits": (header(ARCHITECTURE, tensors=1) + tensor("a", 0, 0, 2**40, 2**40), "which no file can hold"),
    "an offset at the end of 64 bits": (header(ARCHITECTURE, tensors=1) + tensor("a", 0, 2**63 - 32, 2**32), "which no file can hold"),
    "rows that are no whole blocks": (header(ARCHITECTURE, tensors=1) + tensor("a", 2, 0, 31), "rows of 31 elements, which come in blocks of 32"),
    "a side beyond 64 bits beside one of nothing": (header(ARCHITECTURE, tensors=1) + tensor("a", 0, 0, 0, 2**63), "which no file can hold"),
    "data that are not aligned": (header(ARCHITECTURE, tensors=1) + tensor("a", 0, 7, 8), "begins at byte 7 of the data, which is aligned to 32"),
    "an alignment that is a long string": (
        header(key("general.alignment", 8, "Q", 9000) + b"9" * 9000, tensors=1) + PLAIN, "general.alignment is '999.{1,40}, and"),
    "more strings than any header has": (
        header(*[key("s%d" % number, 8, "Q", 12 << 20) + bytes(12 << 20) for number in range(3)], tensors=0), "more than 33554432 bytes of strings"),
    "a tensor's name of 64 letters": (header(ARCHITECTURE, tensors=1) + tensor("a" * 64, 0, 0, 8), "a string of 64 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_header_is_refused_with_the_place_and_the_reason(name):
    data, reason = REFUSED[name]
    with pytest.raises(GGUFError, match=reason) as refused:
        read_header(io.BytesIO(data), "models/x.gguf")
    assert str(refused.value).startswith("models/x.gguf, at byte ")


def test_more_than_a_model_can_have_is_refused_before_it_is_counted():
    strings = array("x", 8, 1_600_000, b"\0" * 8 * 1_600_000)
    begun = time.process_time()
    with pytest.raises(GGUFError, match="more than 1500000 keys, strings and tensors"):
        read_header(io.BytesIO(header(strings, tensors=0)))
    assert time.process_time() - begun < ENOUGH


def test_the_largest_vocabulary_that_is_known_is_read_in_seconds():
    strings = array("tokenizer.ggml.tokens", 8, 262144, text("token") * 262144) + array("tokenizer.ggml.merges", 8, 514906, text("to ken") * 514906)
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + ARCHITECTURE + strings + PLAIN
    begun = time.process_time()
    assert read_header(io.BytesIO(data)).tensors == {"a": 32}
    assert time.process_time() - begun < ENOUGH


def test_a_key_that_is_called_like_what_is_added_does_not_stand_for_it():
    """tensor_count as a key of the file: how many tensors there are is another thing."""
    named = header(key("tensor_count", 4, "I", 77), key("version", 8, "Q1s", 1, b"x"), tensors=1) + PLAIN
    assert read_header(io.BytesIO(named)).metadata == {"tensor_count": 1, "version": 3}


@pytest.mark.parametrize("size", range(0, 90, 7))
def test_a_file_that_is_cut_anywhere_is_refused(size):
    data = header(ARCHITECTURE, CONTEXT, tensors=1) + PLAIN
    with pytest.raises(GGUFError):
        read_header(io.BytesIO(data[:size]))


def nothing(_path):
    """Makes no file."""


def link_to_itself(path):
    path.symlink_to(path)


@pytest.mark.parametrize("make, reason", [
    (pathlib.Path.mkdir, "Is a directory"), (nothing, "No such file"), (link_to_itself, "Too many levels of symbolic links")],
    ids=["a folder", "nothing", "a link to itself"])
def test_a_file_that_cannot_be_opened_is_the_same_kind_of_error(tmp_path, make, reason):
    make(tmp_path / "x.gguf")
    with pytest.raises(GGUFError, match="x.gguf, it cannot be read: " + reason):
        read_file(str(tmp_path / "x.gguf"))


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused():
    class Shrinking(io.BytesIO):
        """Promises more than it gives."""

        def read(self, size=-1):
            return super().read(size)[:40] if self.tell() == 4 else super().read(size)
    with pytest.raises(GGUFError, match="became shorter while it was read"):
        read_header(Shrinking(header(ARCHITECTURE, CONTEXT, tensors=1) + PLAIN))


def test_the_tensors_of_all_files_and_the_metadata_of_the_first(tmp_path):
    for number, name in enumerate("ab"):
        (tmp_path / name).write_bytes(header(ARCHITECTURE, key("split.no", 2, "H", number), tensors=1) + tensor("t" + name, 0, 0, 8))
    metadata, tensors = read_model([str(tmp_path / name) for name in "ab"])
    assert metadata["split.no"] == 0 and tensors == {"ta": 32, "tb": 32}


@pytest.mark.parametrize("value, number", [
    (7, 7), (0, 0), (-1, None), ("7", None), (7.0, None), (True, None), ([7], None), (2**70, None), (float("nan"), None), (None, None)])
def test_only_a_whole_number_is_counted_with(value, number):
    metadata = {"general.architecture": "llama", "llama.block_count": value, "split.count": value}
    assert whole(metadata, ".block_count") == number and whole(metadata, "split.count") == number


def test_a_number_beyond_its_limit_is_none():
    assert whole({"a": 512}, "a", 512) == 512 and whole({"a": 513}, "a", 512) is None


def test_a_file_without_tensors_ends_with_its_header():
    """llama.cpp pads only what data follow: a vocabulary alone is whole."""
    data = header(ARCHITECTURE, tensors=0)
    assert len(data) % 32 and read_header(io.BytesIO(data)).length == len(data)


def test_many_lists_of_whole_numbers_are_read_at_once():
    lists = [array("x%d" % number, 0, 4096, bytes(4096)) for number in range(350)]
    begun = time.process_time()
    assert len(read_header(io.BytesIO(header(*lists, tensors=0))).metadata) == 352
    assert time.process_time() - begun < ENOUGH
    with pytest.raises(GGUFError, match="more than 1500000"):
        read_header(io.BytesIO(header(*lists, *[array("y%d" % number, 0, 4096, bytes(4096)) for number in range(350)], tensors=0)))
