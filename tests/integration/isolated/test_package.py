"""The collection as others get it: built, installed into an empty path, without what only a checkout has."""
import os
import pathlib
import re
import subprocess

import pytest
from support import ROOT, package, plays


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Path of the installed collection."""
    return package.install(tmp_path_factory.mktemp("package"))


def ansible_test(folder, *arguments):
    """ansible-test, with every real Python that this machine has (shims of version managers are none)."""
    pythons = sorted(pathlib.Path.home().glob(".pyenv/versions/3.*/bin"))
    path = [entry for entry in os.environ["PATH"].split(":") if "shims" not in entry] + [str(python) for python in pythons]
    return subprocess.run(["ansible-test", *arguments], cwd=folder, capture_output=True, text=True, check=False,
                          env=dict(os.environ, PATH=":".join(path)))


# ansible-test downloads this script for environments without pip; ensurepip does the same without a network.
GET_PIP = """import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install"] + [word for word in sys.argv[1:] if not word.startswith("--no-")]))
"""


def test_sanity(installed):
    subprocess.run(["git", "init", "-q", str(installed)], check=True)  # ansible-test asks git which files there are
    arguments = ["sanity", "--color", "no", "--python", "default", "--requirements"]
    result = ansible_test(installed, *arguments)
    wanted = re.search(r"manually downloaded and saved to: (\S+)", result.stdout + result.stderr)
    if wanted:
        pathlib.Path(wanted.group(1)).write_text(GET_PIP, encoding="utf-8")
        result = ansible_test(installed, *arguments)
    output = result.stdout + result.stderr
    assert result.returncode == 0, "\n".join(line for line in output.splitlines() if line.startswith(("ERROR", "FATAL"))) or output[-3000:]
    assert 'Running sanity test "validate-modules"' in output


@pytest.fixture(scope="module")
def alone(installed):
    """Where the collection is without docs, tests, molecule and inventory, and the environment of a controller that has nothing else."""
    return package.alone(installed)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")))
def test_all_that_a_playbook_imports_is_in_the_installed_collection(alone, name):
    done = subprocess.run(["ansible-playbook", "--syntax-check", "--inventory", plays.DEMO, "protocol_omni.bunker." + name], cwd=alone["cwd"],
                          env=dict(os.environ, **alone["environment"]), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "playbook: " in done.stdout, done.stdout + done.stderr
