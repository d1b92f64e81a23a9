"""GGUF headers, written here byte by byte after the format's description."""
import io
import struct

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gguf import GGUFError, read_header, read_metadata


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def header(*pairs, version=3, tensors=2):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs)


ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("deepseek2")
CONTEXT = text("deepseek2.context_length") + struct.pack("<II", 4, 163840)
SCORES = text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<fff", 1, 2, 3)
TOKENS = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bb")
SPLIT = text("split.count") + struct.pack("<IH", 2, 7)


def test_scalars_and_strings_are_read_and_arrays_passed_over():
    metadata = read_metadata(io.BytesIO(header(SCORES, ARCHITECTURE, TOKENS, CONTEXT, SPLIT)))
    assert metadata == {"version": 3, "tensor_count": 2, "general.architecture": "deepseek2",
                        "deepseek2.context_length": 163840, "split.count": 7}


@pytest.mark.parametrize("data, reason", [
    (b"", "does not begin with GGUF"),
    (b"PK\x03\x04" + b"\0" * 40, "does not begin with GGUF"),
    (header(version=1), "version is 1"),
    (header(ARCHITECTURE)[:-3], "ends inside its header"),
    (header(text("x") + struct.pack("<I", 99)), "unknown type 99"),
    (header(struct.pack("<Q", 2**60)), "a string of"),
])
def test_what_is_no_whole_gguf_is_refused_with_the_reason(data, reason):
    with pytest.raises(GGUFError, match=reason):
        read_metadata(io.BytesIO(data))


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
    metadata, end = read_header(io.BytesIO(data))
    assert metadata["general.architecture"] == "deepseek2"
    start = (len(data) + 31) // 32 * 32
    assert end == start + beyond


def test_an_alignment_of_its_own_is_heeded():
    alignment = text("general.alignment") + struct.pack("<II", 4, 4096)
    assert read_header(io.BytesIO(header(alignment, tensors=1) + tensor("a", 24, 0, 10)))[1] == 4096 + 10


def test_a_list_of_tensors_that_is_cut_off_is_refused():
    with pytest.raises(GGUFError, match="ends inside its header"):
        read_header(io.BytesIO(header(ARCHITECTURE, tensors=2) + tensor("a", 0, 0, 4)))
