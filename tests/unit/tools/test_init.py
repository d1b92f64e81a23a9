"""./bunker init: what of its command line reaches the playbook."""
import base64
import importlib.util
import json
import re
import subprocess

import pytest
import yaml
from support import ROOT

SPEC = importlib.util.spec_from_file_location("bunker_init", ROOT / "tools" / "init.py")
init = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(init)


@pytest.fixture(autouse=True)
def no_proxy_that_opens_tls(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def variables(*arguments):
    words = init.command(list(arguments))
    assert words[:2] == ["ansible-playbook", "-i"] and words[3] == str(ROOT / "playbooks" / "init.yml") and words[4] == "-e"
    return words[2], json.loads(words[5]), words[6:]


def test_a_host_becomes_an_inventory_of_its_name():
    name, found, further = variables("admin@omni.example", "--port", "2222", "--ask-become-pass")
    assert name == "omni-example," and further == ["--ask-become-pass"]
    assert found["init_folder"] == str(ROOT / "inventory" / "omni-example")
    assert found["init_connection"] == {"ansible_host": "omni.example", "ansible_user": "admin", "ansible_port": 2222}


def test_what_no_option_decides_is_asked_and_yes_asks_nothing():
    _name, found, _further = variables("192.0.2.7", "--name", "two", "--allow-reboot")
    assert found["init_ask"] is True and found["init_answers"] == {"gateway_address": "", "allow_reboot": True, "base": "", "ca_bundle": "", "models": {}}
    _name, found, _further = variables("192.0.2.7", "--yes", "--format-disk", "/dev/disk/by-id/a", "--format-disk", "/dev/disk/by-id/b")
    assert found["init_ask"] is False
    assert found["init_answers"]["format_disks"] == ["/dev/disk/by-id/a", "/dev/disk/by-id/b"]
    assert (found["init_answers"]["allow_reboot"], found["init_answers"]["upgrade_driver"]) == (False, False)


def test_a_fingerprint_may_be_written_as_people_do():
    assert variables("h", "--trust-key", "9d47 6862:39bd" + "a" * 28)[1]["init_answers"]["trust_keys"] == ["9D47686239BD" + "A" * 28]


@pytest.mark.parametrize("host", ["a b", "root@", "-oProxyCommand=x", "x;y", "../x/"])
def test_what_is_no_host_is_refused(host, capsys):
    with pytest.raises(SystemExit):
        init.command(["--", host])
    assert "Write for example root@192.0.2.7" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("-u", "admin", "192.0.2.7"), ("--private-key", "key.pem", "root@192.0.2.7"), ("-e", "a=b", "192.0.2.7", "--yes")])
def test_an_option_of_ansible_before_the_host_is_refused(words, capsys):
    """Its value would be taken for the host."""
    with pytest.raises(SystemExit):
        init.command(list(words))
    assert "%s stands before the host" % words[0] in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [
    (("--ask-become-pass", "--private-key", "my key"), "--ask-become-pass --private-key 'my key'"), (("-K", "-e", "ansible_become_password=secret"), "-K"),
    (("--ssh-common-args=-J jump@192.0.2.1", "-vv"), "'--ssh-common-args=-J jump@192.0.2.1'"), ((), "")])
def test_what_reaches_the_host_is_said_again_for_the_next_command(words, said):
    """No value of -e: it may be a password."""
    assert variables("h", *words)[1]["init_options"] == said


def test_an_address_of_ipv6_may_stand_in_brackets():
    name, found, _further = variables("root@[2001:db8::7]")
    assert (name, found["init_connection"]["ansible_host"]) == ("2001-db8-7,", "2001:db8::7")


@pytest.mark.parametrize(("words", "said"), [
    (("h", "--port", "0"), "--port 0: a port is 1 to 65535"), (("h", "--port", "70000"), "--port 70000"),
    (("h", "--gateway-address", "omni.lan"), "--gateway-address omni.lan: it is an IP address"),
    (("h", "--trust-key", "B0B0B0B0B0B0B0B0"), "--trust-key B0B0B0B0B0B0B0B0: a fingerprint has 40 hexadecimal digits"),
    (("h", "--base", "debian:trixie-slim"), "--base debian:trixie-slim: it is NAME@sha256:DIGEST or"),
    (("h", "--name", "all"), "name all: Ansible means all hosts by it"), (("ungrouped",), "name ungrouped"),
    (("h", "--name", "demo"), "name demo: the collection ships that inventory"), (("h", "--name", "a b"), "name a b")])
def test_a_value_that_cannot_be_meant_is_refused(words, said, capsys):
    with pytest.raises(SystemExit):
        init.command(list(words))
    assert said in capsys.readouterr().err


def test_a_name_that_yaml_would_misread_stays_a_name(tmp_path):
    from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import inventory_files
    for name in ("yes", "no", "0123", "1e3", "null", "1_000", "0x1f", "12"):
        text = inventory_files.texts(name, {"ansible_host": name}, [])["hosts.yml"]
        assert list(yaml.safe_load(text)["all"]["hosts"].items()) == [(name, {"ansible_host": name, "ansible_python_interpreter": "/usr/bin/python3"})]


def test_models_and_base_that_a_person_names_reach_the_play():
    found = variables("h", "--executor", "small", "--base", "/srv/base.tar@sha256:" + "a" * 64)[1]["init_answers"]
    assert found == {"gateway_address": "", "base": "/srv/base.tar@sha256:" + "a" * 64, "ca_bundle": "", "models": {"executor": "small"}}


def test_authorities_of_a_proxy_are_those_of_the_controller_where_no_other_file_is_named(tmp_path, monkeypatch, capsys):
    for name in ("ours.pem", "theirs.pem"):
        (tmp_path / name).write_text("", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ours.pem"))
    assert variables("h")[1]["init_answers"]["ca_bundle"] == str(tmp_path / "ours.pem")
    assert variables("h", "--ca-bundle", str(tmp_path / "theirs.pem"))[1]["init_answers"]["ca_bundle"] == str(tmp_path / "theirs.pem")
    with pytest.raises(SystemExit):
        init.command(["h", "--ca-bundle", "gone.pem"])
    assert "--ca-bundle gone.pem: it is a file of this machine" in capsys.readouterr().err


# --- a host key that nobody knows yet

@pytest.mark.parametrize(("words", "environment", "said"), [
    (("admin@omni.example", "--port", "2222"), {}, "-p 2222 -l admin omni.example true"),
    (("omni", "--ssh-common-args=-J jump@192.0.2.1", "-K"), {"ANSIBLE_SSH_EXTRA_ARGS": "-F 'my config'"}, "-F my config -J jump@192.0.2.1 omni true"),
    (("root@[2001:db8::7]", "--ssh-extra-args", "-v -4"), {}, "-v -4 -l root 2001:db8::7 true")])
def test_ssh_asks_about_the_key_as_the_play_would_reach_the_host(words, environment, said):
    found = init.greeting(init.command(list(words)), environment)
    assert found[0] == "ssh" and "PreferredAuthentications=none" in found  # no password is asked for, and nothing runs there
    assert " ".join(word for word in found[1:] if word not in ("-o", "PreferredAuthentications=none", "ConnectTimeout=10")) == said


@pytest.mark.parametrize(("terminal", "environment", "asked"), [
    (True, {}, True), (False, {}, False), (True, {"ANSIBLE_HOST_KEY_CHECKING": "False"}, False), (True, {"ANSIBLE_SSH_COMMON_ARGS": "'"}, False)])
def test_ssh_may_ask_only_where_somebody_sits_and_never_ends_the_command(tmp_path, monkeypatch, terminal, environment, asked):
    (tmp_path / "ssh").write_text("#!/bin/sh\necho refused >&2\ntouch %s\nexit 255\n" % (tmp_path / "called"), encoding="utf-8")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(init.sys.stdin, "isatty", lambda: terminal)
    init.greet(init.command(["root@192.0.2.7"]), environment)
    assert (tmp_path / "called").exists() is asked
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    init.greet(init.command(["root@192.0.2.7"]), {})


# --- what the play makes of what was typed

QUESTIONS = [{"name": "format_disks", "kind": "disks", "choices": ["/dev/a", "/dev/b"], "text": ""},
             {"name": "allow_reboot", "kind": "yes", "choices": [], "text": ""},
             {"name": "trust_keys", "kind": "key", "choices": ["F1"], "text": ""}, {"name": "trust_keys", "kind": "key", "choices": ["F2"], "text": ""}]


def asked(disks, reboot, answers=None, keys=("", "")):
    """(answers of the play, whether the numbers are refused) where this was typed."""
    play = yaml.safe_load((ROOT / "playbooks" / "init.yml").read_text(encoding="utf-8"))[0]
    write = play["tasks"][-1]
    expressions = {"answers": write["protocol_omni.bunker.inventory_draft"]["answers"],
                   "sound": "{{ %s }}" % play["tasks"][2]["ansible.builtin.assert"]["that"], "open": "{{ _open | map(attribute='name') | list }}"}
    results = [{"item": question, "user_input": typed} for question, typed in zip(QUESTIONS, (disks, reboot, *keys)) if question["name"] not in (answers or {})]
    variables = dict(play["vars"], **write["vars"], __init_asked={"results": results}, __init_read={"questions": QUESTIONS}, init_answers=answers or {})
    said = subprocess.run(["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.debug",
                           "-a", "msg={{ wanted | to_json | b64encode }}",
                           "-e", json.dumps(dict(variables, wanted=expressions, playbook_dir="/x"))], cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r'"?msg"?: "?([A-Za-z0-9+/=]+)', said.stdout)
    assert found, said.stdout + said.stderr
    return json.loads(base64.b64decode(found.group(1)))


def test_numbers_are_disks_and_y_is_yes():
    found = asked("2", "y")
    assert found["answers"] == {"format_disks": ["/dev/b"], "allow_reboot": True, "upgrade_driver": False, "trust_keys": []}
    assert found["sound"] is True and found["open"] == ["format_disks", "allow_reboot", "trust_keys", "trust_keys"]


def test_the_keys_that_a_person_has_compared_are_trusted_and_no_others():
    assert asked("1", "n", keys=("n", "y"))["answers"] == {
        "format_disks": ["/dev/a"], "allow_reboot": False, "upgrade_driver": False, "trust_keys": ["F2"]}
    found = asked("", "", answers={"trust_keys": ["F1"]})
    assert found["answers"]["trust_keys"] == ["F1"] and found["open"] == ["format_disks", "allow_reboot"]


def test_nothing_typed_allows_nothing():
    assert asked("", "")["answers"] == {"format_disks": [], "allow_reboot": False, "upgrade_driver": False, "trust_keys": []}


def test_a_number_that_is_none_of_the_list_is_refused():
    assert asked("3", "n")["sound"] is False and asked("0", "n")["sound"] is False


@pytest.mark.parametrize(("typed", "sound"), [("nvme1n1", False), ("/dev/a", False), ("1-2", False), ("01", False), ("all", False), (" 1, 2 ", True)])
def test_what_is_no_list_of_numbers_is_refused(typed, sound):
    """The 1 of a disk's name is no number of the list."""
    assert asked(typed, "n")["sound"] is sound


def test_an_option_is_not_asked_again():
    found = asked("", "Yes", answers={"format_disks": ["/dev/a"]})
    assert found == {"answers": {"format_disks": ["/dev/a"], "allow_reboot": True, "upgrade_driver": False, "trust_keys": []}, "sound": True,
                     "open": ["allow_reboot", "trust_keys", "trust_keys"]}


# --- hosts that cannot be read, with a stand-in for ssh that says what the real one says

@pytest.mark.parametrize(("words", "status", "rule", "remedy"), [
    ("admin@192.0.2.7: Permission denied (publickey).", 255, "it lets you in over SSH with a key", "ssh-copy-id admin@192.0.2.7"),
    ("ssh: connect to host 192.0.2.7 port 22: Connection timed out", 255, "it answers on its SSH port", "Try: ssh admin@192.0.2.7"),
    ("sudo: a password is required", 1, "you may become root there", "Add --ask-become-pass, or name root: ./bunker init root@192.0.2.7"),
])
def test_the_whole_command_refuses_such_a_host_and_writes_nothing(tmp_path, words, status, rule, remedy):
    (tmp_path / "ssh").write_text("#!/bin/sh\necho '%s' >&2\nexit %d\n" % (words, status), encoding="utf-8")
    (tmp_path / "ssh").chmod(0o755)
    command = init.command(["admin@192.0.2.7", "--name", "cannot-be-read", "--yes", "--offline", "-e", "ansible_ssh_executable=%s" % (tmp_path / "ssh"),
                            "-e", "init_folder=%s" % (tmp_path / "written"), "-e", "ansible_ssh_retries=0"])
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    said = " ".join((result.stdout + result.stderr).split())
    assert result.returncode and "No inventory was written." in said and rule in said and remedy in said, said
    assert not (tmp_path / "written").exists()
