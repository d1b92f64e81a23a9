"""The clients of Node.js come by the hashes of their lock, in the versions that are named."""
import json

import pytest
from support import ROOT


@pytest.mark.parametrize("folder", ["npm", "agents"])
def test_each_package_comes_by_its_hash_and_by_no_address(folder):
    folder = ROOT / "tests" / "clients" / folder
    text = (folder / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert "resolved" not in text and all(entry["integrity"].startswith("sha512-") for entry in packages.values() if not entry.get("inBundle"))
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert {name: packages["node_modules/" + name]["version"] for name in wanted} == wanted
