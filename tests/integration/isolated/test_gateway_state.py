"""A host's state is saved, taken away, and brought back: the door opens to the same keys under the same certificate. What may not be restored is refused."""
import pytest
from support.gateway_host import hashed

FOLDER = "/etc/protocol_omni/gateway"
SPEED = "/var/lib/protocol_omni/throughput/executor.speed.json"


def holders(door):
    return {"gateway_keys": [{"name": name, "sha256": hashed(door.keys[name])} for name in ("alice", "bob", "carol")]}


def state(door, paths):
    """Owner, mode and hash of each path, as lines."""
    return door.sh("for path in %s; do stat -c '%%U %%G %%a %%n' $path; sha256sum < $path; done" % " ".join(paths)).splitlines()


@pytest.fixture(scope="module")
def password(tmp_path_factory):
    """Options of a run that has the password."""
    path = tmp_path_factory.mktemp("password") / "password"
    path.write_text("a password of the tests alone", encoding="ascii")
    return ["--vault-id", "backup@%s" % path]


@pytest.fixture(scope="module")
def carried(door):
    """Paths of the host's state, with a speed as the services leave one."""
    door.sh("mkdir -p $(dirname %(speed)s); echo '{}' > %(speed)s; chmod 0640 %(speed)s" % {"speed": SPEED})
    yield [SPEED] + door.sh("ls %(folder)s/operator.key %(folder)s/self_signed.*" % {"folder": FOLDER}).split()
    door.sh("rm -r $(dirname %s)" % SPEED)


@pytest.fixture(scope="module")
def archive(door, carried, password, tmp_path_factory):
    """The host's state, saved."""
    path = tmp_path_factory.mktemp("archive") / "gateway.bunker"
    saved = door.run("playbooks/backup.yml", "-vvv", *password, extra_vars=dict(holders(door), backup_archive=str(path))).assert_ok()
    assert path.stat().st_mode & 0o777 == 0o600
    for text in (path.read_bytes(), saved.output.encode()):
        assert door.keys["operator"].encode() not in text and b"PRIVATE KEY" not in text
    return path


def test_what_was_lost_comes_back_and_the_door_opens_to_the_same_key(door, carried, password, archive):
    before = state(door, carried)
    assert len(carried) == 5 and any(" 600 " in line and "operator.key" in line for line in before)
    paths = " ".join(carried)
    door.sh("mkdir /root/away; cp --archive --parents %s /root/away; rm %s; rmdir $(dirname %s)" % (paths, paths, SPEED))
    restore = dict(holders(door), restore_archive=str(archive))
    try:
        predicted = door.run("playbooks/restore.yml", "--check", *password, extra_vars=restore).assert_ok()
        assert "Restore the state" in predicted.changed and door.sh("ls %s" % FOLDER).split().count("operator.key") == 0
        restored = door.run("playbooks/restore.yml", "-vvv", "--diff", *password, extra_vars=restore).assert_ok()
        assert state(door, carried) == before
        assert door.keys["operator"] not in restored.output and "PRIVATE KEY" not in restored.output
        assert door.run("playbooks/restore.yml", *password, extra_vars=restore).assert_ok().changed == set()
    finally:
        door.sh("cp --archive /root/away/. /; rm -r /root/away")
    door.deploy().assert_ok()
    with door.http("operator") as client:
        assert client.get("/v1/models").status_code == 200


def test_what_may_not_be_restored_is_refused_and_nothing_changes(door, carried, password, archive, tmp_path):
    before = state(door, carried)
    (tmp_path / "wrong").write_text("another password", encoding="ascii")
    (tmp_path / "damaged").write_bytes(archive.read_bytes()[:-9])
    cases = [(["--vault-id", "backup@%s" % (tmp_path / "wrong")], {}, archive, "the password is a wrong one"),
             (password, {}, tmp_path / "damaged", "is damaged"), (password, {"restore_of": "somebody-else"}, archive, "The archive is of bunker-test-gateway")]
    for options, others, path, words in cases:
        refused = door.run("playbooks/restore.yml", *options, extra_vars=dict(holders(door), restore_archive=str(path), **others))
        assert refused.rc != 0 and words in refused.failures[-1] and refused.changed == set(), refused.failures
    door.sh("echo a speed of its own > %s" % SPEED)
    try:
        refused = door.run("playbooks/restore.yml", *password, extra_vars=dict(holders(door), restore_archive=str(archive)))
        assert refused.rc != 0 and SPEED in refused.failures[-1] and "restore_replace=true" in refused.failures[-1]
        assert door.sh("cat %s" % SPEED) == "a speed of its own"
        door.run("playbooks/restore.yml", *password, extra_vars=dict(holders(door), restore_archive=str(archive), restore_replace=True)).assert_ok()
    finally:
        door.sh("echo '{}' > %s" % SPEED)
    assert state(door, carried) == before
