"""Several files are read at once, and one that cannot be read is named."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import read_files


@pytest.fixture
def read(capsys):
    """Runs the module on {name: path} and returns what it printed."""
    def run(paths):
        with patch_module_args({"paths": {name: str(path) for name, path in paths.items()}}), pytest.raises(SystemExit):
            read_files.main()
        return json.loads(capsys.readouterr().out)
    return run


def test_texts_come_as_they_stand_and_what_is_absent_is_none(read, tmp_path):
    (tmp_path / "one").write_bytes("é\r\n\n".encode())
    found = read({"one": tmp_path / "one", "two": tmp_path / "two", "three": tmp_path / "one" / "below"})
    assert found["texts"] == {"one": "é\r\n\n", "two": None, "three": None} and not found["changed"]


@pytest.mark.parametrize("spoil, why", [(lambda path: path.mkdir(), "Is a directory"), (lambda path: path.write_bytes(b"\xff"), "invalid start byte")])
def test_one_that_cannot_be_read_is_named(read, tmp_path, spoil, why):
    (tmp_path / "good").write_text("good", encoding="utf-8")
    spoil(tmp_path / "bad")
    found = read({"good": tmp_path / "good", "bad": tmp_path / "bad"})
    assert found["failed"] and str(tmp_path / "bad") in found["msg"] and why in found["msg"]
