"""A host's state on the host itself: what is collected, and that it is put back whole or not at all."""
import base64
import errno
import grp
import os
import pwd

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_programs import state_files

USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


def entry(path, text="new", mode=0o600, **others):
    return dict({"path": str(path), "mode": mode, "owner": USER, "group": GROUP, "content": base64.b64encode(text.encode()).decode()}, **others)


def tree(folder):
    """Every path below a folder with mode and text."""
    return {str(path.relative_to(folder)): (oct(path.stat().st_mode & 0o777), path.read_text() if path.is_file() else None)
            for path in sorted(folder.rglob("*"))}


@pytest.fixture
def host(tmp_path):
    """A host with a key, a certificate and a speed of its own."""
    (tmp_path / "etc").mkdir(mode=0o755)
    for name, text, mode in (("operator.key", "old key", 0o600), ("a.pem", "old certificate", 0o644), ("b.pem", "stray", 0o644)):
        (tmp_path / "etc" / name).write_text(text)
        (tmp_path / "etc" / name).chmod(mode)
    return tmp_path


def test_what_matches_is_collected_with_modes_owners_and_the_folders_between(host):
    (host / "etc/a.pem.bunker-part").write_text("of an interrupted run")
    above = [str(host)] + [str(path) for path in host.parents]
    found = state_files.collect([str(host / "etc/*.pem"), str(host / "etc/operator.key"), str(host / "etc/none")], above)
    told = [(os.path.basename(each["path"]), each["mode"], each["owner"], each["group"],
             base64.b64decode(each["content"])) for each in found["files"]]
    assert told == [("a.pem", 0o644, USER, GROUP, b"old certificate"), ("b.pem", 0o644, USER, GROUP, b"stray"),
                    ("operator.key", 0o600, USER, GROUP, b"old key")]
    assert found["folders"] == [{"path": str(host / "etc"), "mode": 0o755, "owner": USER, "group": GROUP}]


def test_a_link_and_too_large_a_state_are_refused(host, monkeypatch):
    (host / "etc/c.pem").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="c.pem is not a plain file"):
        state_files.collect([str(host / "etc/*.pem")], [])
    monkeypatch.setattr(state_files, "LIMIT", 10)
    with pytest.raises(ValueError, match="larger than"):
        state_files.collect([str(host / "etc/a.pem")], [])


def test_all_comes_with_its_mode_and_what_the_archive_does_not_have_goes(host):
    files = [entry(host / "etc/operator.key", "new key"), entry(host / "etc/a.pem", "old certificate", 0o640), entry(host / "var/deep/speed.json", "{}", 0o644)]
    told = state_files.lay(files, [{"path": str(host / "var"), "mode": 0o711, "owner": USER, "group": GROUP}], [str(host / "etc/*.pem")])
    assert [os.path.basename(path) for path in told["new"] + told["replaced"] + told["removed"]] == ["speed.json", "operator.key", "a.pem", "b.pem"]
    assert tree(host) == {"etc": ("0o755", None), "etc/a.pem": ("0o640", "old certificate"), "etc/operator.key": ("0o600", "new key"),
                          "var": ("0o711", None), "var/deep": ("0o755", None), "var/deep/speed.json": ("0o644", "{}")}
    assert state_files.lay(files, [], [str(host / "etc/*.pem")]) == {"new": [], "replaced": [], "removed": [], "unknown": []}


@pytest.mark.parametrize("broken", range(1, 9))
def test_what_fails_at_any_point_leaves_everything_as_it_was(host, monkeypatch, broken):
    """The n-th call that changes something finds the disk full."""
    before, calls = tree(host), []

    def failing(name):
        real = getattr(os, name)

        def call(*arguments, **options):
            calls.append(name)
            if len(calls) == broken:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)
        return call
    files = [entry(host / "etc/operator.key", "new key"), entry(host / "etc/a.pem", "new certificate"), entry(host / "var/speed.json")]
    for name in ("fsync", "link", "replace", "mkdir"):
        monkeypatch.setattr(state_files.os, name, failing(name))
    with pytest.raises(OSError, match="No space left"):
        state_files.lay(files, [], [str(host / "etc/*.pem")])
    monkeypatch.undo()
    assert len(calls) >= broken and tree(host) == before


def test_an_owner_that_is_not_there_is_named_and_changes_nothing(host):
    before = tree(host)
    files = [entry(host / "etc/a.pem", "x"), entry(host / "etc/operator.key", owner="protocol-omni-nobody")]
    assert state_files.compare(files, [])["unknown"] == ["protocol-omni-nobody"]
    with pytest.raises(ValueError, match="no user protocol-omni-nobody"):
        state_files.lay(files, [], [])
    assert tree(host) == before


def test_a_folder_in_the_place_of_a_file_is_refused(host):
    (host / "etc/c.pem").mkdir()
    with pytest.raises(ValueError, match="c.pem is a link or a folder here"):
        state_files.compare([entry(host / "etc/c.pem")], [])


def test_what_did_not_arrive_whole_is_not_written(host):
    before = tree(host)
    told = state_files.answer({"do": "lay", "files": [entry(host / "etc/a.pem", sha256="0" * 64)], "folders": [], "patterns": []})
    assert "did not arrive" in told["failed"] and tree(host) == before
