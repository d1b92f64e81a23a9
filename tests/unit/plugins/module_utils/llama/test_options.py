"""Each option of llama-server is the role's, refused or allowed, in all of its spellings. Its own list is tests/fixtures/llama_cpp/llama-server.txt."""
import pathlib

import pytest
from support import llama_options

from ansible_collections.protocol_omni.bunker.plugins.module_utils import placement, service_plan
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import options

FIXTURES = pathlib.Path(__file__).resolve().parents[4] / "fixtures" / "llama_cpp"
SERVER, ALLOWED, FIT_PARAMS = ((FIXTURES / (name + ".txt")).read_text(encoding="utf-8").splitlines()
                               for name in ("llama-server", "llama-server-allowed", "llama-fit-params"))
# A service with every field that puts words on the command line, each so that it does: a new field is entered here.
TUNING = {"threads": 4, "batch": 512, "arguments": ["--cpu-mask", "0xf", "--cpu-strict", "1", "--spec-type", "ngram-mod", "--model-draft", "/draft/d.gguf"]}
SERVICE = {"name": "oracle", "model": "m", "device": "gpu", "gpus": ["GPU-1"], "gpu_layers": "9", "tensor_split": "3,2", "tensor_overrides": ["a=CPU"],
           "split_mode": "layer", "load_mode": "none", "context": 4096, "micro_batch": 512, "port": 8000, "extra_arguments": []}


def verdict(option):
    field = options.field_of(option)
    return "role" if field is not None else "refused" if options.harm_of(option) else "allowed"


@pytest.mark.parametrize("word, option", [
    ("--ctx_size", "--ctx-size"), ("--ctx-size", "--ctx-size"), ("--media_path=/models", "--media-path"), ("--ctx_size 65536", "--ctx-size"),
    ("-c", "-c"), ("-a_b", "-a_b"), ("-1", ""), ("-0.5", ""), ("65536", ""), ("", ""), ("-", ""), ("--", ""), ("a_b", ""), ("{\"a\": \"--port\"}", ""),
])
def test_a_word_is_read_as_llama_cpp_reads_it(word, option):
    assert options.of_word(word) == option


@pytest.mark.parametrize("spellings", SERVER)
def test_all_spellings_of_an_option_are_judged_alike(spellings):
    assert len({verdict(spelling) for spelling in spellings.split()}) == 1


def test_what_is_allowed_was_looked_at_one_by_one():
    """An option that a newer llama-server has is in neither list, and a person says what it is."""
    assert [line for line in SERVER if verdict(line.split()[0]) == "allowed"] == ALLOWED, (
        "tests/fixtures/llama_cpp/llama-server-allowed.txt: take the line out where the role sets it from now on, add it where an inventory may")


@pytest.mark.parametrize("option, expected", [
    ("--slots", "role"), ("--ui", "role"), ("--webui", "role"), ("--cors-origins", "role"), ("--metrics", "role"), ("--main-gpu", "role"),
    ("--media-path", "refused"), ("--slot-save-path", "refused"), ("--tools", "refused"), ("--tools-of-tomorrow", "refused"), ("--spec-draft-hf", "refused"),
    ("-hfd", "refused"), ("--mmproj-url", "refused"), ("--gpt-oss-20b-default", "refused"), ("--some-model-default", "refused"), ("--models-dir", "refused"),
    ("--api-key", "refused"), ("--ssl-key-file", "refused"), ("--version", "refused"),
    ("--temp", "allowed"), ("--chat-template", "allowed"), ("--cache-type-k", "allowed"), ("--no-host", "allowed"),
])
def test_options_that_a_service_may_have_and_may_not(option, expected):
    assert verdict(option) == expected


def test_what_the_role_sets_nobody_else_can():
    """The words come from where they are made, so that a new one is not forgotten here."""
    words = service_plan.server_arguments(SERVICE, {"files": [{"name": "m.gguf"}]}, TUNING)
    words += service_plan.rung_arguments(SERVICE, {"kv_cache": "ram"}, {})
    set_by_role = {options.of_word(word) for word in words} - {""}
    assert len(set_by_role) >= 20
    assert {option for option in set_by_role if verdict(option) != "role"} == set(), "enter all spellings of it in MANAGED of llama/options.py"


def test_llama_fit_params_knows_what_it_is_told():
    known = {spelling for line in FIT_PARAMS for spelling in line.split()}
    assert set(placement.TAKES_MEMORY) - known == set()
    assert "--kv-unified" not in known


def test_options_are_read_from_a_help_text():
    text = ("----- common params -----\n\n-h,    --help, --usage                  print usage and exit\n--no-host                               bypass -x\n"
            "                                        - row: split\n--lora FNAME                            path\n--spec-type none,draft-simple,ngram  kinds\n")
    assert llama_options.options(text) == ["--lora", "--no-host", "--spec-type", "-h --help --usage"]
