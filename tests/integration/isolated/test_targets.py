"""The collection's Python on hosts of every supported age, from every supported controller.

Hosts: containers of Debian's releases, from Python 3.9 on. Controllers: the oldest ansible-core with the oldest Python, and the newest with others.
A release or a Python that cannot be had here is reported with the reason.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess

import pytest
from support import ROOT
from support.skips import lacks

pytestmark = pytest.mark.full  # six minutes, and four releases of Debian to fetch

# Release to its Python; the last has the newest that Debian has, the second but last is the one that every test host is made of.
SUITES = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13", "sid": None}
ALWAYS_THERE = "trixie"
CONTROLLERS = {"3.11": "2.19.", "3.12": "2.21.", "3.13": "2.21."}
PAIRS = [("3.11", ["bullseye", "sid"]), ("3.13", ["bullseye"]), ("3.11", ["bookworm", "trixie"]), ("3.12", list(SUITES)),
         ("3.13", ["bookworm", "trixie", "sid"])]  # each controller with each release
CACHE = pathlib.Path(os.environ.get("BUNKER_CACHE", "."))


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A GGUF without tensors."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("general.architecture") + struct.pack("<I", 8) + text("llama") + b"\0" * 64)
    return path


class Targets:
    """Containers of the releases, each made when it is first asked for: a release takes a minute."""

    def __init__(self):
        self.made, self.missing = {}, {}  # release to container; one that cannot be had: to the reason

    def get(self, suite):
        """The container of a release, or None."""
        if suite not in self.made and suite not in self.missing:
            self._make(suite)
        return self.made.get(suite)

    def _make(self, suite):
        archive, image, name = CACHE / "base" / ("%s-python3.tar" % suite), "protocol-omni-test/target:" + suite, "bunker-test-target-" + suite
        if not archive.exists():
            done = subprocess.run([ROOT / "tests" / "host" / "make-base", suite, "auto", archive, "python3"], capture_output=True, text=True, check=False)
            if done.returncode:
                self.missing[suite] = (done.stdout + done.stderr).strip().splitlines()[-1]
                return
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)
        subprocess.run(["docker", "import", str(archive), image], check=True, capture_output=True)
        subprocess.run(["docker", "run", "--detach", "--network=none", "--name", name, image, "sleep", "infinity"], check=True, capture_output=True)
        self.made[suite] = name


@pytest.fixture(scope="module")
def targets():
    found = Targets()
    yield found
    for name in found.made.values():
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def find_python(version):
    """A Python of this version, or None."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    for candidate in [shutil.which("python" + version), *sorted(pyenv.glob("versions/%s.*/bin/python3" % version))]:
        if candidate and subprocess.run([candidate, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def controller(version):
    """Folder of the programs of a controller with this Python, from the same lock as ./bunker's; kept in the cache."""
    python = find_python(version)
    if not python:
        lacks("Python %s, so no controller of it was tested" % version)
    lock = ROOT / "requirements" / "run.txt"
    folder = CACHE / "controllers" / ("%s-%s" % (version, hashlib.sha256(lock.read_bytes()).hexdigest()[:16]))
    if not (folder / "complete").exists():
        shutil.rmtree(folder.parent / folder.name, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock], check=True, capture_output=True)
        (folder / "complete").touch()
    return folder / "bin"


@pytest.mark.parametrize("version, suites", PAIRS, ids=lambda value: value if isinstance(value, str) else "-".join(value))
def test_every_module_runs_on_every_release(targets, tiny_model, version, suites, tmp_path):
    programs = controller(version)
    made = {suite: targets.get(suite) for suite in suites if targets.get(suite)}
    if not made:
        lacks("%s in its mirror, so this controller ran on no target" % " and ".join(suites))
    inventory = {"all": {"vars": {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"},
                         "hosts": {name: {} for name in made.values()}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    played = subprocess.run(
        [programs / "ansible-playbook", "-i", tmp_path / "hosts.json", "--forks", "4", ROOT / "tests" / "targets" / "modules.yml", "-e",
         json.dumps({"tiny_model": str(tiny_model), "tiny_sha256": hashlib.sha256(tiny_model.read_bytes()).hexdigest()})],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=dict(os.environ, PATH="%s:%s" % (programs, os.environ["PATH"]), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1"))
    assert played.returncode == 0, played.stdout[-5000:]
    said = re.findall(r"bunker-test-target-(\S+): Python (\S+), ansible-core (\S+) on Python ([0-9.]+)", played.stdout)
    assert sorted(suite for suite, *_versions in said) == sorted(made)
    for suite, target, core, python in said:
        print("%s: Python %s from ansible-core %s on Python %s" % (suite, target, core, python))
        assert python.startswith(version + ".") and core.startswith(CONTROLLERS[version])
        assert SUITES[suite] is None or target.startswith(SUITES[suite] + ".")


@pytest.mark.parametrize("suite", SUITES)
def test_the_release_has_the_python_that_it_stands_for(targets, suite):
    name = targets.get(suite)
    if not name and suite != ALWAYS_THERE:
        lacks("%s in its mirror, so nothing was tested on it: %s" % (suite, targets.missing[suite]))
    assert name, targets.missing[suite]
    said = subprocess.run(["docker", "exec", name, "python3", "--version"], check=True, capture_output=True, text=True).stdout
    version = tuple(int(part) for part in re.match(r"Python (\d+)\.(\d+)", said).groups())
    newest = tuple(int(part) for part in SUITES[ALWAYS_THERE].split("."))
    assert version == tuple(int(part) for part in SUITES[suite].split(".")) if SUITES[suite] else version > newest
