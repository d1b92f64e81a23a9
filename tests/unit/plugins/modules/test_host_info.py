"""What host_info tells of models: sizes of whole ones, and of a header that is none no more than its size."""
import struct

import pytest
from test_gguf import ARCHITECTURE, REFUSED, header, key, tensor

from ansible_collections.protocol_omni.bunker.plugins.modules import host_info


def told(tmp_path, data):
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    return host_info.models_of({"x": [str(path)]})["x"]


def test_context_and_cache_are_read(tmp_path):
    pairs = [key("deepseek2.%s" % name, 4, "I", value) for name, value in (
        ("block_count", 2), ("embedding_length", 7168), ("attention.head_count", 128), ("attention.head_count_kv", 1), ("attention.key_length", 576),
        ("attention.value_length", 512), ("attention.key_length_mla", 192), ("attention.value_length_mla", 128), ("context_length", 4096))]
    found = told(tmp_path, header(ARCHITECTURE, *pairs, tensors=1) + tensor("a", 0, 0, 8))
    assert found["kv_cache"] == {"layers": [[0, 576, 0, False], [1, 576, 0, False]], "window": 0} and found["context_length"] == 4096


@pytest.mark.parametrize("name", REFUSED)
def test_of_what_is_no_header_only_the_size_is_told(tmp_path, name):
    data = REFUSED[name][0]
    assert told(tmp_path, data) == {"bytes": len(data), "kv_cache": None, "context_length": None, "facts": {}, "projector": 0}


def test_a_context_that_is_no_whole_number_is_none(tmp_path):
    found = told(tmp_path, header(ARCHITECTURE, key("deepseek2.context_length", 8, "Q3s", 3, b"all"), tensors=1) + tensor("a", 0, 0, 8))
    assert found["context_length"] is None


def test_a_model_of_absurdly_many_layers_is_told_at_once(tmp_path):
    found = told(tmp_path, header(ARCHITECTURE, key("deepseek2.block_count", 10, "Q", 2**62), key("deepseek2.expert_count", 4, "I", 8), tensors=0))
    assert found["kv_cache"] is None


def test_a_list_of_layers_is_no_number(tmp_path):
    heads = key("deepseek2.attention.head_count", 9, "IQ", 4, 2) + struct.pack("<II", 8, 8)
    assert told(tmp_path, header(ARCHITECTURE, key("deepseek2.block_count", 4, "I", 2), heads, tensors=0))["kv_cache"] is None


def test_a_projector_is_told_from_the_weights(tmp_path):
    projector = header(key("general.architecture", 8, "Q4s", 4, b"clip"), key("clip.has_vision_encoder", 7, "?", True), tensors=0)
    for name, data in (("m.gguf", header(ARCHITECTURE, tensors=0)), ("m.jinja", b"{{ messages }}"), ("mmproj.gguf", projector)):
        (tmp_path / name).write_bytes(data)
    found = host_info.models_of({"m": [str(tmp_path / name) for name in ("m.gguf", "m.jinja", "mmproj.gguf")]})["m"]
    assert found["facts"]["vision"] is True and found["facts"]["architecture"] == "deepseek2" and found["projector"] == len(projector)
    assert found["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_what_is_there_of_a_model_and_what_has_begun_to_come(tmp_path):
    wanted = {"m": [str(tmp_path / name) for name in ("a.gguf", "b.gguf", "c.gguf")]}
    (tmp_path / "a.gguf").write_bytes(b"abc")
    (tmp_path / "b.gguf.part").write_bytes(b"abcde")
    (tmp_path / "c.gguf").mkdir()
    assert host_info.stored(host_info.World, wanted) == {str(tmp_path / "a.gguf"): 3, str(tmp_path / "b.gguf.part"): 5}


def test_nobody_is_asked_for_the_size_of_a_file_that_is_there(tmp_path):
    class World(host_info.World):
        asked = []

        @classmethod
        def sizes(cls, addresses, certificates):
            cls.asked.append((addresses, certificates))
            return {path: {"bytes": 7, "said": ""} for path in addresses}

    (tmp_path / "brought").write_bytes(b"abcd")
    found = host_info.sources(World, {"/s/a": "https://hub.invalid/a", "/s/b": "https://hub.invalid/b", "/s/c": str(tmp_path / "brought"),
                                      "/s/d": str(tmp_path / "absent")}, {"/s/a": 3}, "PEM")
    assert World.asked == [({"/s/b": "https://hub.invalid/b"}, "PEM")]
    assert found == {"/s/b": {"bytes": 7, "said": ""}, "/s/c": {"bytes": 4, "said": ""},
                     "/s/d": {"bytes": None, "said": "%s is not there, or empty." % (tmp_path / "absent")}}
    assert host_info.sources(World, {"/s/a": "https://hub.invalid/a"}, {"/s/a": 3}, "") == {} and len(World.asked) == 1
    assert host_info.sources(World, {"/s/a": "https://hub.invalid/a"}, {"/s/a": 0}, "")["/s/a"]["bytes"] == 7  # an empty file tells nothing


@pytest.mark.parametrize("path", ["~/brought", "$HOME/brought"])
def test_a_file_of_a_home_is_read_where_it_will_be_fetched_from(tmp_path, monkeypatch, path):
    class World(host_info.World):
        @staticmethod
        def sizes(addresses, _certificates):
            raise AssertionError("a server was to be asked for %s" % addresses)

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "brought").write_bytes(b"abcd")
    assert host_info.sources(World, {"/s/a": path}, {}, "") == {"/s/a": {"bytes": 4, "said": ""}}


def test_authorities_that_are_none_are_told_of_each_file():
    found = host_info.World.sizes({"/s/a": "https://hub.invalid/a"}, "no certificate")
    assert found["/s/a"]["bytes"] is None and "bunker_ca_bundle" in found["/s/a"]["said"]


def test_of_the_memory_the_best_of_some_measurements_counts(monkeypatch):
    """On a host that does something else meanwhile, one alone had said a hundredth."""
    said = [240_000_000, 15_300_000_000, 14_000_000_000]
    monkeypatch.setattr(host_info.memory_bandwidth, "measure", lambda _threads, _seconds: said.pop(0))
    assert host_info._bandwidth(2) == 15_300_000_000
