"""Names within the lines of README and docs are names that there are: variables of roles, claims, files of this repository."""
import re

import pytest
import yaml
from support import ROOT, shell_blocks

PAGES = [path for pattern in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md") for path in sorted(ROOT.glob(pattern))]
ROLES = tuple(path.name + "_" for path in (ROOT / "roles").iterdir())
CLAIMS = {name for path in ROOT.glob("roles/*/vars/claims.yml") for found in yaml.safe_load(path.read_text(encoding="utf-8")).values() for name in found}
KINDS = {name.partition(".")[0] for name in CLAIMS}


def names(path):
    """Words that stand as code within the lines of a page."""
    prose = "\n".join(line for line in path.read_text(encoding="utf-8").split("\n") if not line.startswith("    "))
    return re.findall(r"`([^`\n]+)`", prose)


def known_variable(name):
    """Of a role's specs; one that a playbook takes, or a role has for itself and its documents tell of; or a metric of the gateway, which adds its prefix."""
    if name.startswith("bunker_gateway_"):
        return re.search(r"\b(bunker_gateway_)?%s\b" % name[len("bunker_gateway_"):], (ROOT / "roles/gateway/files/metrics.lua").read_text(encoding="utf-8"))
    return name in shell_blocks.variables() or re.search(r"\b%s\b" % name, shell_blocks.told())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_variable_that_a_page_names_is_one(path):
    named = {found for word in names(path) for found in re.findall(r"^([a-z_]+)(?:: .*)?$", word) if found.startswith((*ROLES, "bunker_"))}
    assert {name for name in named if not known_variable(name)} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_claim_that_a_page_names_is_one(path):
    files = (".yml", ".py", ".lua", ".md", ".json")
    named = {word for word in names(path) if re.fullmatch(r"(%s)\.[a-z_]+" % "|".join(KINDS), word) and not word.endswith(files)}
    assert named <= CLAIMS


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_file_that_a_page_names_is_there(path):
    named = {word for word in names(path) if shell_blocks.OWN_PATH.match(word) and re.fullmatch(r"[\w./-]+", word)
             and not shell_blocks.PLACEHOLDER.search(word)}
    # docs/architecture.md names unit tests by their place below tests/unit
    assert {name for name in named if not (ROOT / name).exists() and not (ROOT / "tests" / "unit" / name).exists()} == set()


def test_there_are_names_to_look_up():
    assert len(CLAIMS) > 60 and len({name for path in PAGES for name in names(path)}) > 500
