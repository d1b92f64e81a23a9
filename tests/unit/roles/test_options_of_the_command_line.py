"""What ``-e NAME=true`` gives is a text, and one that says false is true to a condition: each expression asks for the truth value of a role's bool options."""
import pathlib

import jinja2
import jinja2.nodes
import pytest
import yaml
from support import ROOT

ENVIRONMENT = jinja2.Environment()
CONDITIONS = {"when", "that", "until", "failed_when", "changed_when"}  # expressions without braces
SPECS = [yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"] for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")]
OPTIONS = sorted(name for spec in SPECS for name, option in spec.items() if option.get("type") == "bool")
FILES = sorted(path for pattern in ("roles/*/tasks/*.yml", "roles/*/vars/*.yml", "roles/*/templates/*", "playbooks/*.yml", "playbooks/tasks/*.yml")
               for path in ROOT.glob(pattern))


def bare(node, names, judged=False):
    """Names of a tree that are read otherwise than through the filter bool, or through default and then bool."""
    if isinstance(node, jinja2.nodes.Name):
        return {node.name} & names if node.ctx == "load" and not judged else set()
    through = isinstance(node, jinja2.nodes.Filter) and (node.name == "bool" or judged and node.name == "default")
    return {name for child in node.iter_child_nodes() for name in bare(child, names, through)}


def expressions(value, key=""):
    """Templates of a YAML file's values."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from expressions(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner, key)
    elif isinstance(value, str):
        yield "{{ %s }}" % value if key in CONDITIONS and "{{" not in value else value


def found(path, text, names):
    """What a file reads as it was given."""
    templates = [text] if "templates" in path.parts else expressions(yaml.safe_load(text))
    return {name for template in templates for name in bare(ENVIRONMENT.parse(template), names)}


@pytest.mark.parametrize("path", [path.relative_to(ROOT) for path in FILES], ids=str)
def test_no_expression_takes_a_text_for_a_truth_value(path):
    assert found(path, (ROOT / path).read_text(encoding="utf-8"), set(OPTIONS)) == set()


@pytest.mark.parametrize("text, names", [
    ("- {when: seen}", {"seen"}), ("- {when: not seen | bool and heard}", {"heard"}), ("- {vars: {a: '{{ 1 if seen else 2 }}'}}", {"seen"}),
    ("- {vars: {a: '{{ seen | default(false) | bool }}'}}", set()), ("- {assert: {that: [seen | default(false)], fail_msg: set seen}}", {"seen"}),
    ("- {msg: set seen to true}", set())])
def test_what_is_found(text, names):
    assert found(pathlib.Path("roles/x/tasks/main.yml"), text, {"seen", "heard"}) == names


def test_there_are_such_options():
    assert {"host_driver_reboot", "observability_enabled", "pool_enabled"} <= set(OPTIONS)
