"""./bunker model: an entry of the catalogue with what its hub says of it. Stand-ins on loopback answer for the hub."""
import importlib.util
import struct
import sys

import pytest
import yaml
from support import ROOT

sys.path.insert(0, str(ROOT / "tests" / "unit" / "plugins" / "module_utils" / "origins"))
from stand_in import COMMIT, hub, serving  # noqa: E402

SPEC = importlib.util.spec_from_file_location("bunker_model", ROOT / "tools" / "model.py")
model = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(model)

NAME, REPOSITORY, FILE = "qwen2.5-coder-7b", "bartowski/Qwen2.5-Coder-7B-Instruct-GGUF", "Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def text(value):
    return struct.pack("<Q", len(value)) + value


def a_header(architecture, drafts=0):
    """A GGUF of one tensor whose header says its architecture."""
    key = architecture.encode()
    pairs = [text(b"general.architecture") + struct.pack("<I", 8) + text(key)]
    pairs += [text(key + b".nextn_predict_layers") + struct.pack("<II", 4, drafts)] if drafts else []
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs) + text(b"blk.0.ffn_up.weight") + struct.pack("<IQQIQ", 2, 32, 32, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(32 * 32 * 4)


def ran(capsys, *words):
    code = model.main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_hashes_sizes_and_addresses_are_filled_in(capsys):
    content = a_header("qwen2")
    with serving(hub({FILE: content}, repository=REPOSITORY)) as server:
        code, out, err = ran(capsys, NAME, "--hub", "http://" + server.address)
    (entry,) = yaml.safe_load(out)["model_store_extra_models"]
    assert (code, err) == (0, "") and entry["name"] == NAME and entry["architecture"] == "qwen2"
    (one,) = entry["files"]
    assert one["size"] == len(content) and len(one["sha256"]) == 64 and "/resolve/%s/" % COMMIT in one["source"]["url"]


def test_a_head_that_drafts_is_told(capsys):
    with serving(hub({FILE: a_header("qwen2", 1)}, repository=REPOSITORY)) as server:
        _code, out, _err = ran(capsys, NAME, "--hub", "http://" + server.address)
    assert "# Its header counts 1 layer that drafts (MTP)" in out


def test_a_file_of_another_architecture_is_refused_and_nothing_is_written(capsys):
    with serving(hub({FILE: a_header("deepseek2")}, repository=REPOSITORY)) as server:
        code, out, err = ran(capsys, NAME, "--hub", "http://" + server.address)
    assert (code, out) == (1, "") and "general.architecture deepseek2, the entry qwen2" in err


def test_what_the_hub_does_not_say_stays_open_and_is_told(capsys):
    with serving(hub({}, repository=REPOSITORY)) as server:
        code, out, err = ran(capsys, NAME, "--hub", "http://" + server.address)
    (entry,) = yaml.safe_load(out)["model_store_extra_models"]
    assert code == 1 and entry["files"][0]["sha256"].startswith("REPLACE: curl") and "there is no %s" % FILE in err


def test_without_a_network_the_entry_says_what_to_ask(capsys):
    code, out, err = ran(capsys, "deepseek-v3.2-q4_k_m", "--offline")
    (entry,) = yaml.safe_load(out)["model_store_extra_models"]
    assert (code, err) == (0, "") and entry["architecture"] == "deepseek32" and len(entry["files"]) == 9
    assert "# Not compared with the files: size, architecture." in out


@pytest.mark.parametrize("words", [(), ("--offline",), ("--hub", "http://127.0.0.1:1")])
def test_a_model_that_every_inventory_has_needs_no_entry_and_nobody_is_asked(capsys, words):
    code, out, err = ran(capsys, "smollm2-135m-instruct-q4_1", *words)
    assert (code, err) == (0, "") and yaml.safe_load(out) is None  # a second entry of the name would be refused
    assert "smollm2-135m-instruct-q4_1: model_store_catalogue has it" in out and "did not say" not in out


def test_the_names_are_listed(capsys):
    code, out, _err = ran(capsys)
    assert code == 0 and "kimi-k2-0905-ud-q3_k_xl" in out and "qwen2.5-coder-14b" in out


def test_a_name_that_nobody_knows_is_refused_with_those_that_are_known(capsys):
    code, out, err = ran(capsys, "gpt-5")
    assert (code, out) == (2, "") and "gpt-5" in err and "glm-4.7-ud-q4_k_xl" in err
