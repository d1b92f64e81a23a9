"""The table client x feature: clients that people use, as their packages are, against the golden image's llama-server behind the gateway.

    ./bunker test --full tests/integration/isolated/test_gateway_real_clients.py      writes tests/results/clients.json
    python docs/render_clients.py                                                      writes docs/clients.md

What is asked is in tests/clients/ask.py, and for those of Node.js in tests/clients/npm/ask.mjs. Each runs in an environment of its own: the clients and what
they need are no part of the other tests. npm fetches them by the hashes of their lock, from the registry of its own configuration.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from support import ROOT, provenance, real_services, skips, tiny_models, told_models

pytestmark = pytest.mark.full
RECORD = "tests/results/clients.json"
CLIENTS = ROOT / "tests" / "clients"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The Python of an environment with the clients."""
    folder = tmp_path_factory.mktemp("clients") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    lock = ROOT / "requirements" / "clients.txt"
    done = subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--require-hashes", "-r", lock], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with the clients of Node.js, and what asks them beside."""
    if not shutil.which("npm"):
        skips.lacks("npm")
    return installed(tmp_path_factory.mktemp("npm"), "npm")


@pytest.fixture(scope="module")
def agents(tmp_path_factory, packages):
    """A folder with the programs that write code, and what runs them beside: 1.2 GB.

    Not by npm ci, which wants every platform's optional package to be there. What came is held to the lock here.
    """
    folder = installed(tmp_path_factory.mktemp("agents"), "agents", "install", "--no-save")
    came, locked = (json.loads((folder / name).read_text(encoding="utf-8"))["packages"] for name in ("node_modules/.package-lock.json", "package-lock.json"))
    assert {name for name, entry in came.items() if entry.get("integrity") != locked[name].get("integrity")} == set()
    return folder


def installed(folder, name, *how):
    """The folder, with what a lock below tests/clients names. No script of a package runs."""
    shutil.copytree(CLIENTS / name, folder, dirs_exist_ok=True)
    done = subprocess.run(["npm", *(how or ["ci"]), "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def real(door):
    """The door with an Oracle that chats and that starts again by itself, a service that makes vectors, and an Executor that calls functions."""
    real_services.bring(door)
    slower = door.folder / "slower.gguf"
    tiny_models.decoder(slower, tiny_models.TEMPLATE, width=512, layers=8)  # slow enough to be killed in the middle of its answer
    told_models.caller(door.folder / "caller.gguf")
    for model in (slower, door.folder / "caller.gguf"):
        subprocess.run(["docker", "cp", "--quiet", model, "%s:%s/" % (door.host, real_services.MODELS)], check=True)
    real_services.start(door, "executor", "caller.gguf", "--ctx-size", 65536, "--parallel", 1, "--jinja")
    real_services.start(door, "oracle", "slower.gguf", "--ctx-size", 4096, "--parallel", 1, "--jinja")
    real_services.start(door, "embedder", "embeddings.gguf", "--embeddings", "--pooling", "mean", "--ctx-size", 512)
    door.deploy(gateway_fallbacks={}, bunker_services=real_services.services(oracle="chat", executor="chat", embedder="embeddings"),
                gateway_requests_per_minute=60000, gateway_burst=3000).assert_ok()
    yield door
    for name in ("oracle", "executor", "embedder"):
        real_services.stop(door, name)


def asked(command, real, folder, last=None):
    """The cells that a program of tests/clients prints, run in a folder. Its last argument is a command that kills the Oracle, if not another."""
    kill = shlex.join(["docker", "exec", real.host, "systemctl", "kill", "--kill-whom=all", "--signal=KILL", "real-oracle"])
    done = subprocess.run([*command, real.url, real.keys["alice"], last or kill], cwd=folder, capture_output=True, text=True, check=False,
                          env=dict(os.environ, SSL_CERT_FILE=real.certificate, NODE_EXTRA_CA_CERTS=real.certificate, NO_PROXY="*"))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_each_cell_holds_or_has_its_reason(real, environment, packages):
    found = {**asked([environment, CLIENTS / "ask.py"], real, packages), **asked(["node", "ask.mjs"], real, packages)}
    fails = {"%s, %s" % (client, feature): cell["said"] for client, one in found.items() for feature, cell in one["cells"].items()
             if cell.get("holds") is False}
    assert not fails, json.dumps(fails, indent=1)
    assert len(found) == 10 and all(len(one["cells"]) == 8 for one in found.values())
    assert sum("reason" in cell for one in found.values() for cell in one["cells"].values()) == 10
    record(real, clients=found)


def test_each_agent_calls_a_tool_of_its_own_and_answers(real, agents, tmp_path):
    found = asked([sys.executable, "run.py"], real, agents, tmp_path)
    assert len(found) == 5 and {name: one["cells"]["tools"]["said"] for name, one in found.items() if not one["cells"]["tools"]["holds"]} == {}
    record(real, agents=found)


def record(real, **parts):
    """Puts a part of the record in the place of the one that is there."""
    known = json.loads((ROOT / RECORD).read_text(encoding="utf-8"))
    text = json.dumps({**known, **parts, "server": real_services.server(real), "provenance": provenance.made(RECORD)}, indent=1)
    (ROOT / RECORD).write_text(text + "\n", encoding="utf-8")
