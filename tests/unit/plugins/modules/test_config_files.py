"""Files that are written together: all or none, and nothing twice."""
import grp
import json
import os
import stat

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import config_files


@pytest.fixture
def write(capsys):
    """Runs the module with files and returns what it printed."""
    def run(*files, check_mode=False, only=()):
        with patch_module_args({"files": list(files), "only": list(only), "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
            config_files.main()
        return json.loads(capsys.readouterr().out)
    return run


def file(path, content="text\n", **more):
    return dict({"path": str(path), "content": content}, **more)


def test_files_and_their_folders_are_written_once(write, tmp_path):
    files = [file(tmp_path / "a" / "one"), file(tmp_path / "b" / "c" / "two", "#!/bin/sh\n", mode="0755")]
    first = write(*files)
    assert first["changed"] and first["written"] == [str(tmp_path / "a" / "one"), str(tmp_path / "b" / "c" / "two")]
    assert (tmp_path / "a" / "one").read_text(encoding="utf-8") == "text\n"
    assert stat.S_IMODE((tmp_path / "a" / "one").stat().st_mode) == 0o644 and os.access(tmp_path / "b" / "c" / "two", os.X_OK)
    again = write(*files)
    assert not again["changed"] and again["written"] == []
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one"]


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("other", encoding="utf-8"), lambda path: path.chmod(0o600), lambda path: path.unlink(),
                                   lambda path: path.write_bytes(b"\xff\xfe"), lambda path: path.write_bytes(b"text\r\n")])
def test_what_differs_is_put_right_and_said(write, tmp_path, spoil):
    write(file(tmp_path / "one"), file(tmp_path / "two"))
    spoil(tmp_path / "one")
    found = write(file(tmp_path / "one"), file(tmp_path / "two"))
    assert found["changed"] and found["written"] == [str(tmp_path / "one")]
    assert (tmp_path / "one").read_bytes() == b"text\n" and stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o644


def test_a_link_in_the_place_is_replaced_and_what_it_led_to_stays(write, tmp_path):
    (tmp_path / "elsewhere").write_text("kept", encoding="utf-8")
    (tmp_path / "one").symlink_to(tmp_path / "elsewhere")
    assert write(file(tmp_path / "one"))["written"] == [str(tmp_path / "one")]
    assert not (tmp_path / "one").is_symlink() and (tmp_path / "elsewhere").read_text(encoding="utf-8") == "kept"


def test_one_that_does_not_validate_leaves_all_as_they_were(write, tmp_path):
    (tmp_path / "one").write_text("before", encoding="utf-8")
    found = write(file(tmp_path / "one", "after"), file(tmp_path / "two", "bad\n", validate=["sh", "-c", "grep -q good %s || { echo no good; exit 4; }"]))
    assert found["failed"] and "two is not valid, nothing was written. sh says: no good" in found["msg"]
    assert (tmp_path / "one").read_text(encoding="utf-8") == "before" and [path.name for path in tmp_path.iterdir()] == ["one"]


def test_one_that_cannot_be_written_leaves_all_as_they_were(write, tmp_path):
    (tmp_path / "one").write_text("before", encoding="utf-8")
    (tmp_path / "in the way").write_text("a file", encoding="utf-8")
    found = write(file(tmp_path / "one", "after"), file(tmp_path / "in the way" / "two"))
    assert found["failed"] and "in the way" in found["msg"]
    assert (tmp_path / "one").read_text(encoding="utf-8") == "before"


def test_a_disk_that_is_full_at_the_second_file_leaves_the_first_as_it_was(write, tmp_path, no_room):
    (tmp_path / "one").write_text("before", encoding="utf-8")
    with no_room(1000):
        found = write(file(tmp_path / "one", "after"), file(tmp_path / "two", "x" * 5000))
    assert found["failed"] and "File too large" in found["msg"]
    assert (tmp_path / "one").read_text(encoding="utf-8") == "before" and [path.name for path in tmp_path.iterdir()] == ["one"]


def test_only_these_of_a_pattern_stay(write, tmp_path):
    for name in ("inside-old.nft", "inside-oracle.nft", "other.txt"):
        (tmp_path / name).write_text("text\n", encoding="utf-8")
    found = write(file(tmp_path / "inside-oracle.nft"), only=[str(tmp_path / "inside-*.nft")])
    assert found["changed"] and found["removed"] == [str(tmp_path / "inside-old.nft")] and found["written"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside-oracle.nft", "other.txt"]


def test_check_mode_predicts_on_a_bare_host_and_writes_nothing(write, tmp_path):
    (tmp_path / "stale.nft").write_text("old", encoding="utf-8")
    found = write(file(tmp_path / "a" / "one", validate=["no-such-program", "%s"]), check_mode=True, only=[str(tmp_path / "*.nft")])
    assert found["changed"] and found["written"] == [str(tmp_path / "a" / "one")] and found["removed"] == [str(tmp_path / "stale.nft")]
    assert found["diff"][0]["after"] == "text\n" and found["diff"][1]["before"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["stale.nft"]


def test_a_mode_that_is_none_is_named_and_nothing_is_written(write, tmp_path):
    found = write(file(tmp_path / "one"), file(tmp_path / "two", mode="u+x"))
    assert found["failed"] and "two: mode u+x is not octal digits such as 0644" in found["msg"] and not list(tmp_path.iterdir())


def test_a_file_is_given_to_its_group_before_it_can_be_read(write, tmp_path):
    group = next(entry for entry in grp.getgrall() if entry.gr_gid not in (0, os.getgid()))
    wanted = file(tmp_path / "keys", mode="0640", group=group.gr_name)
    assert write(wanted)["written"] == [str(tmp_path / "keys")] and (tmp_path / "keys").stat().st_gid == group.gr_gid
    assert not write(wanted)["changed"]
    os.chown(tmp_path / "keys", -1, os.getgid())
    assert write(wanted)["written"] == [str(tmp_path / "keys")] and (tmp_path / "keys").stat().st_gid == group.gr_gid


def test_a_group_that_is_not_there_is_predicted_as_a_change_and_named_in_a_run(write, tmp_path):
    wanted = [file(tmp_path / "other"), file(tmp_path / "keys", group="nobody-has-this")]
    assert write(*wanted, check_mode=True)["written"] == [str(tmp_path / "other"), str(tmp_path / "keys")]
    failed = write(*wanted)
    assert failed["failed"] and "no group nobody-has-this" in failed["msg"] and list(tmp_path.iterdir()) == []
