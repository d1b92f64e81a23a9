"""The report in a browser, held against axe-core's rules: no finding that keeps somebody from reading or using it."""
import importlib.util
import json

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.report_page import page

SPEC = importlib.util.spec_from_file_location("bunker_axe", ROOT / "tests" / "accessibility" / "axe.py")
axe = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(axe)
MEASURED = {"result": {"services": {"oracle": {"alone": {"mean": 10.9}, "roofline": {"limit": 14.2}}}}}
DARK_FAULT = "<style>@media (prefers-color-scheme: dark){footer p,footer{color:#555;background:#444}}</style></head>"


def rendered(name="failing"):
    report = json.loads((ROOT / "tests" / "fixtures" / "host_reports" / ("%s.json" % name)).read_text(encoding="utf-8"))
    return page.render(report, MEASURED, ["bunker-demo.json", "bunker-demo.cdx.json"])


@pytest.mark.full
@pytest.mark.parametrize("scheme", sorted(axe.SCHEMES))
@pytest.mark.parametrize("width", sorted(axe.WIDTHS))
@pytest.mark.parametrize("name", ["holding", "failing"])
def test_a_report_has_no_serious_finding(name, width, scheme):
    rules, found = axe.look(rendered(name), axe.WIDTHS[width], axe.SCHEMES[scheme])
    assert rules > 30 and axe.serious(found) == []


@pytest.mark.full
def test_a_planted_fault_is_found():
    rules, found = axe.look(rendered().replace("</main>", '<input type="text"></main>'))
    assert [one["rule"] for one in axe.serious(found)] == ["label"] and rules > 30


@pytest.mark.full
def test_colours_are_looked_at_in_the_dark_as_well():
    dimmed = rendered().replace("</head>", DARK_FAULT)
    assert {scheme: [one["rule"] for one in axe.serious(axe.look(dimmed, scheme=number)[1])] for scheme, number in axe.SCHEMES.items()} == {
        "dark": ["color-contrast"], "light": []}


def test_axe_comes_by_its_hash_and_by_no_address():
    lock = (ROOT / "tests" / "accessibility" / "package-lock.json").read_text(encoding="utf-8")
    wanted = json.loads((ROOT / "tests" / "accessibility" / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    packages = {name.rpartition("node_modules/")[2]: entry for name, entry in json.loads(lock)["packages"].items() if name}
    assert "://" not in lock and all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert {name: entry["version"] for name, entry in packages.items()} == wanted


def test_a_page_without_a_policy_is_no_report():
    with pytest.raises(ValueError, match="one policy and one body"):
        axe.instrumented("<html><body></body></html>")
