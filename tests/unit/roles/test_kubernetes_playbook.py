"""playbooks/kubernetes.yml as it is called: it writes files of an inventory of two hosts that nobody can reach, and refuses one that says too little."""
import json
import os
import subprocess

import pytest
import yaml
from support import ROOT

SERVICE = {"name": "executor", "model": "smollm2-135m-instruct-q4_1", "device": "cpu", "threads": "4", "memory": "6g", "port": 8002,
           "networks": [{"name": "omni-network", "address": "172.30.0.20"}]}
KEY = "a key that is long enough".replace(" ", "-") + "-" * 8
VALUES = {"kubernetes_image": "registry.example/omni@sha256:" + "a" * 64, "kubernetes_claims_image": "registry.example/python@sha256:" + "b" * 64,
          "kubernetes_key": KEY}


@pytest.fixture(name="rendering")
def of_two_hosts(tmp_path):
    """Calls it with further variables: (exit status, output, file to its objects)."""
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {
        name: {"ansible_host": "203.0.113.1", "kubernetes_node": name + ".example"} for name in ("north", "south")}}}), encoding="utf-8")

    def call(*words, **variables):
        given = dict({"bunker_services": [SERVICE], "golden_image_base": "debian@sha256:" + "c" * 64}, **VALUES)
        given.update(variables, kubernetes_folder="out")
        done = subprocess.run(["ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(ROOT / "playbooks/kubernetes.yml"), "-v", *words,
                               "-e", json.dumps(given)], cwd=tmp_path, capture_output=True, text=True, check=False,
                              env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), PWD=str(tmp_path)))
        return done.returncode, done.stdout + done.stderr, {path.name: list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
                                                            for path in tmp_path.glob("out/*")}
    call.folder = tmp_path / "out"
    return call


def test_each_host_has_its_files_and_what_they_share_is_there_once(rendering):
    status, said, files = rendering()
    assert status == 0, said
    assert sorted(files) == ["namespace.yml", "north.claims.yml", "north.yml", "secret.yml", "south.claims.yml", "south.yml"]
    (pod,) = [one["spec"]["template"]["spec"] for one in files["south.yml"] if one["kind"] == "Deployment"]
    assert pod["nodeSelector"] == {"kubernetes.io/hostname": "south.example"}
    assert files["secret.yml"][0]["stringData"] == {"keys": KEY + "\n"} and KEY not in said
    assert {path.stat().st_mode & 0o777 for path in rendering.folder.glob("*")} == {0o600} and rendering.folder.stat().st_mode & 0o777 == 0o700


def test_what_is_missing_is_named_and_nothing_is_written(rendering):
    status, said, files = rendering(kubernetes_image="omni:latest", bunker_services=[dict(SERVICE, threads="auto")])
    assert status != 0 and files == {} and KEY not in said
    assert "kubernetes_image 'omni:latest': an image is named by its digest" in said and "service executor of north: threads auto" in said
