"""A host's state is saved, taken away, and brought back; the list of it is held against what lies on the host."""
import json

import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_state

ROOTS = "/etc/protocol_omni /var/lib/protocol_omni /etc/ansible/facts.d"


def state(site, paths):
    """Owner, mode and hash of each path, as lines."""
    return site.sh("for path in %s; do stat -c '%%U %%G %%a %%n' $path; sha256sum < $path; done" % " ".join(paths)).splitlines()


@pytest.fixture(scope="module")
def password(tmp_path_factory):
    """Options of a run that has the password."""
    path = tmp_path_factory.mktemp("password") / "password"
    path.write_text("a password of the tests alone", encoding="ascii")
    path.chmod(0o600)
    return ["--vault-id", "backup@%s" % path]


def carried(site):
    return [path for path in site.sh("find %s -type f" % ROOTS).splitlines() if host_state.kind_of(path) == "carried"]


def test_each_file_of_the_host_is_in_the_list(site, second):
    found = site.sh("find %s -type f" % ROOTS).splitlines()
    assert len(found) > 20
    assert [path for path in found if not host_state.kind_of(path)] == []


def test_what_was_saved_and_lost_comes_back_and_the_door_opens_to_the_same_key(site, second, password, tmp_path):
    archive, paths = tmp_path / "site.bunker", carried(site)
    key = site.execute("cat /etc/protocol_omni/gateway/operator.key")[1].strip()
    saved = site.run("playbooks/backup.yml", "-vvv", *password, extra_vars={"backup_archive": str(archive)}).assert_ok()
    assert archive.stat().st_mode & 0o777 == 0o600 and key.encode() not in archive.read_bytes()
    site.sh("systemctl stop protocol-omni-vram-watch.service")
    before = state(site, paths)
    assert "/etc/protocol_omni/gateway/operator.key" in paths and len(paths) >= 5
    site.sh("mkdir /root/away; cp --archive --parents %s /root/away; rm %s" % (" ".join(paths), " ".join(paths)))
    try:
        restored = site.run("playbooks/restore.yml", "-vvv", "--diff", *password, extra_vars={"restore_archive": str(archive)}).assert_ok()
        assert key not in saved.output and key not in restored.output
        assert state(site, paths) == before
        assert site.run("playbooks/restore.yml", *password, extra_vars={"restore_archive": str(archive)}).assert_ok().changed == set()
    finally:
        site.execute("cp --archive /root/away/. /; rm -r /root/away")
        deployed = site.run("site.yml")
    deployed.assert_ok()
    assert site.door(key).models.list().data


def test_what_may_not_be_restored_is_refused_and_nothing_changes(site, second, password, tmp_path):
    archive = tmp_path / "site.bunker"
    site.run("playbooks/backup.yml", *password, extra_vars={"backup_archive": str(archive)}).assert_ok()
    before = state(site, ["/etc/protocol_omni/gateway/operator.key", "/etc/protocol_omni/gateway/self_signed.pem"])
    (tmp_path / "wrong").write_text("another password", encoding="ascii")
    (tmp_path / "damaged").write_bytes(archive.read_bytes()[:-9])
    cases = [([], {}, archive, "There is no password"), (["--vault-id", "backup@%s" % (tmp_path / "wrong")], {}, archive, "the password is a wrong one"),
             (password, {}, tmp_path / "damaged", "is damaged"), (password, {"restore_of": "somebody-else"}, archive, "The archive is of bunker-test-site")]
    for options, others, path, words in cases:
        refused = site.run("playbooks/restore.yml", *options, extra_vars=dict(others, restore_archive=str(path)))
        assert refused.rc != 0 and words in refused.failures[-1] and refused.changed == set(), json.dumps(refused.failures)
    site.sh("echo a speed of its own > /var/lib/protocol_omni/throughput/executor.speed.json.new; "
            "mv /var/lib/protocol_omni/throughput/executor.speed.json /root/speed; "
            "mv /var/lib/protocol_omni/throughput/executor.speed.json.new /var/lib/protocol_omni/throughput/executor.speed.json")
    try:
        refused = site.run("playbooks/restore.yml", *password, extra_vars={"restore_archive": str(archive)})
        assert refused.rc != 0 and "executor.speed.json" in refused.failures[-1] and "restore_replace=true" in refused.failures[-1]
    finally:
        site.sh("mv /root/speed /var/lib/protocol_omni/throughput/executor.speed.json")
    assert state(site, ["/etc/protocol_omni/gateway/operator.key", "/etc/protocol_omni/gateway/self_signed.pem"]) == before
