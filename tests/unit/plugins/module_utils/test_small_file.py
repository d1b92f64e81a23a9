"""What was noted in JSON is read back whole, or is nothing."""
import os

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import small_file


@pytest.mark.parametrize("content, found", [(b'{"image": "x"}', {"image": "x"}), (b"{", {}), (b"[]", {}), (b"\xff", {}), (None, {})])
def test_a_record_that_cannot_be_read_is_none(tmp_path, content, found):
    if content is not None:
        (tmp_path / "record").write_bytes(content)
    assert small_file.record(str(tmp_path / "record")) == found


def test_a_record_takes_the_place_of_the_one_before_at_once(tmp_path, monkeypatch):
    path = str(tmp_path / "folder" / "record")
    small_file.write_record(path, {"turn": 1})
    seen = []
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda source, target: (seen.append(small_file.record(path)), rename(source, target)))
    small_file.write_record(path, {"turn": 2})
    assert seen == [{"turn": 1}] and small_file.record(path) == {"turn": 2} and os.listdir(tmp_path / "folder") == ["record"]
