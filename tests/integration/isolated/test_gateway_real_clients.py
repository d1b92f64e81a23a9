"""The table client x feature: clients that people use, as their packages are, against the golden image's llama-server behind the gateway.

    ./bunker test --full tests/integration/isolated/test_gateway_real_clients.py      writes tests/results/clients.json
    python docs/render_clients.py                                                      writes docs/clients.md

What is asked is in tests/clients/ask.py. It runs in an environment of its own: the clients and what they need are no part of the other tests.
"""
import json
import os
import shlex
import subprocess
import sys

import pytest
from support import ROOT, provenance, real_services, tiny_models

pytestmark = pytest.mark.full
RECORD = "tests/results/clients.json"


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
def real(door):
    """The door with an Oracle that chats and that starts again by itself, and a service that makes vectors."""
    real_services.bring(door)
    slower = door.folder / "slower.gguf"
    tiny_models.decoder(slower, tiny_models.TEMPLATE, width=512, layers=8)  # slow enough to be killed in the middle of its answer
    subprocess.run(["docker", "cp", "--quiet", slower, "%s:%s/" % (door.host, real_services.MODELS)], check=True)
    real_services.start(door, "oracle", "slower.gguf", "--ctx-size", 4096, "--parallel", 1, "--jinja")
    real_services.start(door, "embedder", "embeddings.gguf", "--embeddings", "--pooling", "mean", "--ctx-size", 512)
    door.deploy(gateway_fallbacks={}, bunker_services=real_services.services(oracle="chat", embedder="embeddings"),
                gateway_requests_per_minute=60000, gateway_burst=3000).assert_ok()
    yield door
    for name in ("oracle", "embedder"):
        real_services.stop(door, name)


def test_each_cell_holds_or_has_its_reason(real, environment):
    kill = shlex.join(["docker", "exec", real.host, "systemctl", "kill", "--kill-whom=all", "--signal=KILL", "real-oracle"])
    done = subprocess.run([environment, ROOT / "tests" / "clients" / "ask.py", real.url, real.keys["alice"], kill], capture_output=True, text=True, check=False,
                          env=dict(os.environ, SSL_CERT_FILE=real.certificate, NO_PROXY="*"))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    fails = {"%s, %s" % (client, feature): cell["said"] for client, one in found.items() for feature, cell in one["cells"].items()
             if cell.get("holds") is False}
    assert not fails, json.dumps(fails, indent=1)
    assert len(found) == 7 and all(len(one["cells"]) == 8 for one in found.values())
    assert sum("reason" in cell for one in found.values() for cell in one["cells"].values()) == 14
    record = {"provenance": provenance.made(RECORD), "clients": found}
    (ROOT / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
