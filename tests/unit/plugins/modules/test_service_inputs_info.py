"""What a service is resolved from is read at once, and is what the modules that read each part return."""
import json
import struct

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import model_info, read_files, service_inputs_info, throughput_info


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


# A GGUF, version 3, without tensors, with two pairs of metadata: a string and a number of 32 bits.
MODEL = (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + text("general.architecture") + struct.pack("<I", 8) + text("deepseek2")
         + text("deepseek2.context_length") + struct.pack("<II", 4, 4096))


@pytest.fixture
def look(tmp_path, capsys):
    """Runs a module and returns what it printed; ``run.folder`` has a store with one model and what a host has of a service."""
    def run(module=service_inputs_info, **given):
        parameters = {"paths": {"unit": str(tmp_path / "unit"), "gone": str(tmp_path / "gone")}, "store": str(tmp_path), "name": "m",
                      "architecture": "deepseek2", "files": [{"name": "m.gguf"}], "measured": str(tmp_path / "fact"), "_ansible_check_mode": True}
        if module is not service_inputs_info:
            parameters = {}
        with patch_module_args(dict(parameters, **given)), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "m.gguf").write_bytes(MODEL)
    (tmp_path / "unit").write_bytes("[Unit]\r\né".encode())
    (tmp_path / "fact").write_text('{"services": {"oracle": {}}}', encoding="utf-8")
    return run


def test_texts_header_and_processor_are_read(look):
    found = look()
    assert not found["changed"] and found["texts"] == {"unit": "[Unit]\r\né", "gone": None}
    assert (found["header"]["problems"], found["header"]["facts"]["architecture"], found["header"]["metadata"]["deepseek2.context_length"]) == (
        [], "deepseek2", 4096)
    assert found["host"]["measured"] == {"services": {"oracle": {}}} and found["host"]["fingerprint"]["threads"] == len(found["host"]["cpus"])


def test_each_part_is_what_its_own_module_returns(look):
    found, folder = look(), look.folder
    assert found["texts"] == look(read_files, paths={"unit": str(folder / "unit"), "gone": str(folder / "gone")})["texts"]
    of_model = look(model_info, store=str(folder), name="m", architecture="deepseek2", files=[{"name": "m.gguf"}])
    assert found["header"] == {name: of_model[name] for name in found["header"]} and {"facts", "metadata", "problems"} <= set(found["header"])
    of_host = look(throughput_info, path=str(folder / "fact"))
    assert found["host"] == {name: of_host[name] for name in found["host"]} and {"fingerprint", "cpus", "measured"} <= set(found["host"])


def test_a_model_that_is_not_there_is_told_and_the_rest_is_read(look):
    (look.folder / "m" / "m.gguf").unlink()
    (look.folder / "fact").unlink()
    found = look()
    assert "m.gguf" in found["header"]["problems"][0] and (found["header"]["facts"], found["host"]["measured"]) == ({}, {})
    assert found["texts"]["unit"]


def test_files_count_by_their_role(look):
    (look.folder / "m" / "m.jinja").write_text("{{ messages }}", encoding="utf-8")
    assert look(files=[{"name": "m.gguf"}, {"name": "m.jinja", "role": "chat_template"}])["header"]["problems"] == []
    assert look(files=[{"name": "m.gguf"}, {"name": "m.jinja"}])["header"]["problems"] != []


@pytest.mark.parametrize("spoil, why", [(lambda path: path.mkdir(), "Is a directory"), (lambda path: path.write_bytes(b"\xff"), "invalid start byte")])
def test_a_file_that_cannot_be_read_is_named(look, spoil, why):
    spoil(look.folder / "bad")
    found = look(paths={"unit": str(look.folder / "unit"), "bad": str(look.folder / "bad")})
    assert found["failed"] and str(look.folder / "bad") in found["msg"] and why in found["msg"]
