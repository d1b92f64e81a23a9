"""The golden image's own llama-server on the host of the gateway's tests, without an engine, with the tiny models of tests/support/tiny_models.py.

For what a stand-in cannot show: what llama-server itself says while it reads a prompt, and which shapes its answers have. It runs on the host's processor.
BUNKER_TEST_LLAMA names a folder with opt/llama/llama-server in it, which takes the image's place where nobody can compile that; records say so.
"""
import json
import os
import shutil
import subprocess
import tarfile

import yaml
from support import ROOT, image, tiny_models

ADDRESSES = {"oracle": "172.30.0.10:8000", "executor": "172.30.0.20:8002", "embedder": "172.30.0.30:8004"}
MODELS = "/opt/tiny"


def _wanted(name):
    """Of the image: the server, its libraries without CUDA's, and OpenMP."""
    return "libgomp" in name or name.startswith("opt/llama/") and not any(word in name for word in ("cuda", "cublas"))


def _server(folder):
    """Unpacks what of the image is needed, below a folder."""
    if os.environ.get("BUNKER_TEST_LLAMA"):
        shutil.copytree(os.environ["BUNKER_TEST_LLAMA"], folder, dirs_exist_ok=True)
        return
    image.provide()
    with tarfile.open(image.archive(image.variables())) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                layer.extractall(folder, [member for member in layer if _wanted(member.name)], filter="data")
    assert (folder / "opt" / "llama" / "llama-server").exists()


def bring(door):
    """Puts server and models onto the host, where no module of this run has done so."""
    folder = door.folder / "real"
    if folder.exists():
        return
    folder.mkdir()
    _server(folder)
    tiny_models.write(folder / "opt" / "tiny")
    packed = subprocess.run(["tar", "-C", folder, "-cf", "-", "."], capture_output=True, check=True).stdout
    subprocess.run(["docker", "exec", "-i", door.host, "tar", "-C", "/", "--no-same-owner", "--keep-directory-symlink", "-xf", "-"], input=packed, check=True)


def server(door):
    """Which server it is, in words for a record."""
    if not os.environ.get("BUNKER_TEST_LLAMA"):
        return "the golden image's llama-server"
    return "another build of llama.cpp's server than the golden image's (%s)" % door.sh("/opt/llama/llama-server --version 2>&1").removeprefix("version: ")


def start(door, name, model, *options):
    """Starts it in the place of a stand-in, and waits until it answers. Whoever kills it sees it start again."""
    address, port = ADDRESSES[name].split(":")
    stop(door, name)
    door.sh("ip address replace %s/32 dev lo" % address)
    door.sh("systemd-run --quiet --unit=real-%s --property=Restart=always --property=RestartSec=0.1 --setenv=LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu "
            "--working-directory=/opt/llama /opt/llama/llama-server --host %s --port %s --alias %s --model %s/%s --offline --metrics --no-slots "
            "--threads 1 %s" % (name, address, port, name, MODELS, model, " ".join(str(option) for option in options)))
    door.sh("for _ in $(seq 300); do python3 -c \"import urllib.request as r; r.urlopen('http://%s:%s/health')\" 2>/dev/null && exit; sleep 0.2; done; "
            "journalctl --no-pager -u real-%s | tail -n 30; exit 1" % (address, port, name))


def stop(door, name):
    """Ends whoever answers for a service."""
    door.sh("for unit in stand-in-{0} real-{0}; do systemctl stop $unit 2>/dev/null || true; "
            "systemctl reset-failed $unit 2>/dev/null || true; done".format(name))


def services(**kinds):
    """bunker_services of the demo's inventory, and one that makes vectors, each with its kind."""
    demo = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))["bunker_services"]
    address, port = ADDRESSES["embedder"].split(":")
    third = dict(demo[0], name="embedder", port=int(port), networks=[{"name": "omni-network", "address": address}])
    return [dict(service, kind=kinds[service["name"]]) for service in (*demo, third) if service["name"] in kinds]


def bring_slow_model(door):
    """A chat model of 110 million random weights: slow enough on one thread for a prompt of some thousand tokens to take minutes."""
    path = door.folder / "slow.gguf"
    tiny_models.decoder(path, tiny_models.TEMPLATE, width=1024, layers=12, context=65536)
    subprocess.run(["docker", "cp", "--quiet", path, "%s:%s/slow.gguf" % (door.host, MODELS)], check=True)
    path.unlink()
