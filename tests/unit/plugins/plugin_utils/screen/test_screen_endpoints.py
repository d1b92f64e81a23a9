"""The call that can be pasted: a shell runs it as it stands, with stand-ins for docker, ssh, sudo and curl."""
import json
import os
import subprocess

import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import endpoints, style

SERVICES = {"oracle": {"endpoint": "http://172.30.0.10:8000", "model": "m", "placement": "CPU only"}}
DOOR = {"url": "https://192.0.2.9:8443/v1", "key_file": "/etc/a key", "certificate": "/etc/c.pem", "models": ["executor", "oracle"]}
SHELLS = {  # what a stand-in does once it has noted its words
    "docker": 'while [ "$1" != bunker-demo ]; do shift; done; shift; exec "$@"', "sudo": 'exec "$@"', "cat": 'echo "content of $1"', "curl": ":",
    "ssh": 'while [ "$1" != root@192.0.2.7 ] && [ "$1" != admin@192.0.2.7 ]; do shift; done; shift; exec sh -c "$*"'}


@pytest.fixture
def pasted(tmp_path):
    """Runs lines as a shell gets them that somebody pastes into; returns the words that curl was called with, and of each other program."""
    def run(lines):
        for name, then in SHELLS.items():
            path = tmp_path / name
            path.write_text("#!/bin/sh\nprintf '%%s\\0' %s \"$@\" | tr '\\n' ' ' >> %s/words\necho >> %s/words\n%s\n" % (name, tmp_path, tmp_path, then))
            path.chmod(0o755)
        environment = {"PATH": "%s:%s" % (tmp_path, os.environ["PATH"])}
        done = subprocess.run(["sh"], input="\n".join(lines) + "\n", text=True, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return [line.rstrip("\0").split("\0") for line in (tmp_path / "words").read_text().splitlines()]
    return run


def body_of(words):
    return json.loads(words[words.index("-d") + 1])


@pytest.mark.parametrize("variables", [
    {"inventory_hostname": "bunker-demo", "ansible_connection": "community.docker.docker", "ansible_user": "root"},
    {"inventory_hostname": "omni", "ansible_host": "192.0.2.7", "ansible_user": "admin", "ansible_port": 2222},
    {"inventory_hostname": "omni", "ansible_host": "192.0.2.7", "ansible_user": "root"}], ids=["demo", "user", "root"])
def test_a_door_on_a_network_is_asked_from_here(pasted, tmp_path, variables):
    ran = pasted(endpoints.example(DOOR, SERVICES, "omni", variables))
    (asked,) = [words for words in ran if words[0] == "curl"]
    assert asked[asked.index("--cacert") + 1] == "omni.pem" and (tmp_path / "omni.pem").read_text() == "content of /etc/c.pem\n"
    assert "https://192.0.2.9:8443/v1/chat/completions" in asked
    assert body_of(asked) == {"model": "oracle", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    assert [words[0] for words in ran].count("sudo") == (2 if variables.get("ansible_user") == "admin" else 0)


def test_a_door_on_loopback_is_asked_on_the_host(pasted):
    door = dict(DOOR, url="http://127.0.0.1:8080/v1", certificate="", key_file="/etc/key")
    ran = pasted(endpoints.example(door, SERVICES, "omni", {"inventory_hostname": "omni", "ansible_host": "192.0.2.7", "ansible_user": "root"}))
    assert [words[0] for words in ran] == ["ssh", "cat", "curl"] or [words[0] for words in ran] == ["ssh", "cat", "curl", "cat"]
    (asked,) = [words for words in ran if words[0] == "curl"]
    assert "Authorization: Bearer content of /etc/key" in asked and "http://127.0.0.1:8080/v1/chat/completions" in asked


def test_what_only_reads_takes_no_input_from_what_is_pasted_after_it():
    ssh = {"inventory_hostname": "h", "ansible_user": "root"}
    assert endpoints.on_host(ssh, reading=True) == "ssh -n root@h " and endpoints.on_host(ssh) == "ssh root@h "
    docker = {"inventory_hostname": "h", "ansible_connection": "community.docker.docker"}
    assert endpoints.on_host(docker, reading=True) == "docker exec h " and endpoints.on_host(docker) == "docker exec -i h "


@pytest.mark.parametrize(("models", "services", "model"), [
    (["executor", "oracle"], {}, "oracle"), (["embedder", "executor"], {"embedder": {"kind": "embeddings"}}, "executor"),
    (["embedder"], {"embedder": {"kind": "embeddings"}}, None)])
def test_the_oracle_is_asked_else_whoever_chats(models, services, model):
    assert endpoints.model_to_ask(dict(DOOR, models=models), services) == model


def test_where_nothing_chats_there_is_no_call():
    assert endpoints.example(dict(DOOR, models=[]), {}, "omni", {}) == []


def test_it_is_said_where_no_card_computes():
    said = "\n".join(endpoints.endpoints(DOOR, SERVICES, style.Style(200, False)))
    assert "No GPU here" in said
    assert "No GPU" not in "\n".join(endpoints.endpoints(DOOR, {"oracle": dict(SERVICES["oracle"], placement="GPU GPU-1")}, style.Style(200, False)))
