"""The whole way of a host's state, with a folder for the host: the host's program runs, the archive is written and opened."""
import subprocess
import types

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultSecret

from ansible_collections.protocol_omni.bunker.plugins.action import host_state as action
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_program, host_state

KEY = "5ca1ab1e" * 8


class AHost(action.ActionModule):
    """Runs the program here, where Ansible would send it to a host; remembers what it was given."""

    def __init__(self, check_mode=False, password=b"right horse", **arguments):
        task = types.SimpleNamespace(async_val=0, check_mode=check_mode, action="host_state", args=arguments)
        loader = types.SimpleNamespace(_vault=types.SimpleNamespace(secrets=[("backup", VaultSecret(password))] if password else []))
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/a"))
        super().__init__(task, connection, None, loader, None)
        self.commands = []

    def _low_level_execute_command(self, cmd, sudoable=True, in_data=None, **_others):
        self.commands.append(cmd)
        done = subprocess.run(["/bin/sh", "-c", cmd], input=in_data, capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes a machine with a key; its own paths are those of the list that lie in bunker_config_path."""
    whole = host_state.the_list()
    monkeypatch.setattr(host_state, "the_list", lambda: {
        kind: [entry for entry in whole[kind] if entry["path"].startswith(host_state.CONFIG)] for kind in whole})

    def make(name, key=KEY):
        folder = tmp_path / name
        (folder / "gateway").mkdir(parents=True)
        if key:
            (folder / "gateway/operator.key").write_text(key, encoding="ascii")
            (folder / "gateway/operator.key").chmod(0o600)
            (folder / "gateway/routes.json").write_text("derived", encoding="ascii")
        return folder
    return make


def run(state, machine, archive, host="oracle-1", **arguments):
    others = {name: arguments.pop(name) for name in ("check_mode", "password") if name in arguments}
    plugin = AHost(state=state, archive=str(archive), config_path=str(machine), **others, **arguments)
    result = plugin.run(task_vars={"inventory_hostname": host})
    assert KEY not in repr(result) and KEY not in repr(plugin.commands)
    return result


def test_a_new_machine_has_the_same_key_after_it(machine, tmp_path):
    saved = run("saved", machine("old"), tmp_path / "backups/a.bunker")
    assert saved["paths"] == ["/etc/protocol_omni/gateway/operator.key"] and saved["vault_id"] == "backup"
    assert (tmp_path / "backups/a.bunker").stat().st_mode & 0o777 == 0o600 and [path.name for path in (tmp_path / "backups").iterdir()] == ["a.bunker"]
    new = machine("new", None)
    (new / "gateway").rmdir()
    result = run("restored", new, tmp_path / "backups/a.bunker")
    assert result["changed"] and result["new"] == [str(new / "gateway/operator.key")]
    assert (new / "gateway/operator.key").read_text(encoding="ascii") == KEY and (new / "gateway/operator.key").stat().st_mode & 0o777 == 0o600
    assert not run("restored", new, tmp_path / "backups/a.bunker")["changed"]


def test_files_that_the_inventory_names_go_along_and_are_refused_where_it_does_not_name_them(machine, tmp_path):
    old, named = machine("old"), tmp_path / "keys/provider.key"
    with pytest.raises(AnsibleActionFail, match="provider.key, and the host does not have it"):
        run("saved", old, tmp_path / "a.bunker", named=[str(named)])
    named.parent.mkdir()
    named.write_text("of the provider", encoding="ascii")
    run("saved", old, tmp_path / "a.bunker", named=[str(named)])
    named.unlink()
    with pytest.raises(AnsibleActionFail, match="The archive brings .*provider.key: neither in"):
        run("restored", machine("new", None), tmp_path / "a.bunker")
    run("restored", old, tmp_path / "a.bunker", named=[str(named)])
    assert named.read_text(encoding="ascii") == "of the provider"


@pytest.mark.parametrize("arguments, words", [
    ({"password": b"wrong horse"}, "the password is a wrong one"), ({"password": None}, "no password"),
    ({"host": "oracle-2"}, "archive is of oracle-1, and this host is oracle-2"),
])
def test_what_is_refused_changes_nothing(machine, tmp_path, arguments, words):
    run("saved", machine("old"), tmp_path / "a.bunker")
    new = machine("new", None)
    with pytest.raises(AnsibleActionFail, match=words):
        run("restored", new, tmp_path / "a.bunker", **arguments)
    assert list(new.rglob("*")) == [new / "gateway"]


def test_an_archive_of_another_host_comes_where_that_is_said(machine, tmp_path):
    run("saved", machine("old"), tmp_path / "a.bunker")
    plugin = AHost(state="restored", archive=str(tmp_path / "a.bunker"), config_path=str(machine("new", None)), host="oracle-1")
    assert plugin.run(task_vars={"inventory_hostname": "oracle-2"})["changed"]


def test_state_of_the_hosts_own_is_lost_only_where_that_is_said(machine, tmp_path):
    run("saved", machine("old"), tmp_path / "a.bunker")
    other = machine("other", "another key " * 4)
    (other / "gateway/operator.previous").write_text("stray", encoding="ascii")
    with pytest.raises(AnsibleActionFail, match=r"state of its own.*operator\.key.*operator\.previous.*restore_replace=true"):
        run("restored", other, tmp_path / "a.bunker")
    predicted = run("restored", other, tmp_path / "a.bunker", replace=True, check_mode=True)
    assert predicted["changed"] and (other / "gateway/operator.key").read_text(encoding="ascii").startswith("another")
    assert run("restored", other, tmp_path / "a.bunker", replace=True)["removed"] == [str(other / "gateway/operator.previous")]
    assert (other / "gateway/operator.key").read_text(encoding="ascii") == KEY and not (other / "gateway/operator.previous").exists()
    assert (other / "gateway/routes.json").read_text(encoding="ascii") == "derived"


def test_an_archive_is_never_overwritten_and_an_empty_host_is_none(machine, tmp_path):
    (tmp_path / "a.bunker").write_text("of yesterday", encoding="ascii")
    with pytest.raises(AnsibleActionFail, match="never overwritten"):
        run("saved", machine("old"), tmp_path / "a.bunker")
    assert (tmp_path / "a.bunker").read_text(encoding="ascii") == "of yesterday"
    with pytest.raises(AnsibleActionFail, match="The host has no state"):
        run("saved", machine("new", None), tmp_path / "b.bunker")
    assert not (tmp_path / "b.bunker").exists()


def test_a_debugging_ansible_would_write_the_keys_down_and_is_refused(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(action.C, "DEFAULT_DEBUG", True)
    with pytest.raises(AnsibleActionFail, match="ANSIBLE_DEBUG"):
        run("saved", machine("old"), tmp_path / "a.bunker")


def test_a_host_without_python_says_so(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(host_program, "BEGIN", "import sys; sys.exit('no such thing')")
    with pytest.raises(AnsibleActionFail, match="did not answer .status 1.: no such thing"):
        run("saved", machine("old"), tmp_path / "a.bunker")
