"""The collection as others get it: built, and installed into an empty path."""
import shutil
import subprocess

from support import ROOT


def install(folder):
    """Builds it from the files that git tracks or would track, and installs it.

    :param folder: pathlib.Path, empty.
    :returns: pathlib.Path of the installed collection.
    """
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


def alone(installed):
    """Takes docs, tests, molecule and inventory away; returns where a controller that has nothing else stands, and its environment."""
    for name in ("docs", "tests", "molecule", "inventory"):
        shutil.rmtree(installed / name, ignore_errors=True)
    configuration = installed.parents[2] / "empty.cfg"
    configuration.touch()
    return {"cwd": installed.parents[2], "environment": {"ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2]), "ANSIBLE_CONFIG": str(configuration)}}
