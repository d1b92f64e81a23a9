"""The collection as others get it: built, installed into an empty path, without what only a checkout has."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Path of the installed collection, built from the files that git tracks."""
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if name.startswith("collections/") or not (ROOT / name).exists():
            continue
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(tree)], check=True)
    tarball = next(folder.glob("protocol_omni-bunker-*.tar.gz"))
    subprocess.run(["ansible-galaxy", "collection", "install", "--no-deps", "-p", str(folder / "collections"), str(tarball)], check=True,
                   cwd=folder)  # outside the checkout, which would count as installed
    return folder / "collections" / "ansible_collections" / "protocol_omni" / "bunker"


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
    for name in ("docs", "tests", "molecule", "inventory"):
        shutil.rmtree(installed / name, ignore_errors=True)
    configuration = installed.parents[2] / "empty.cfg"
    configuration.touch()
    return {"cwd": installed.parents[2], "environment": {"ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2]), "ANSIBLE_CONFIG": str(configuration)}}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")))
def test_all_that_a_playbook_imports_is_in_the_installed_collection(alone, site, name):
    site.run("protocol_omni.bunker." + name, "--syntax-check", **alone).assert_ok()


@pytest.mark.full
def test_site_runs_from_the_installed_collection_without_docs_tests_molecule_and_inventory(alone, installed, site, second):
    result = site.run("protocol_omni.bunker.site", "-vv", **alone).assert_ok()
    assert result.changed == set()
    assert str(installed) in result.output and str(ROOT / "roles") not in result.output
