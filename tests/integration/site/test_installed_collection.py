"""The site of the installed collection is the checkout's."""
import pytest
from support import ROOT, package

pytestmark = pytest.mark.full  # it runs the whole site once more


def test_site_runs_from_the_installed_collection_without_docs_tests_molecule_and_inventory(site, second, tmp_path):
    second.assert_ok()
    installed = package.install(tmp_path)
    result = site.run("protocol_omni.bunker.site", "-vv", **package.alone(installed)).assert_ok()
    assert result.changed == set()
    assert str(installed) in result.output and str(ROOT / "roles") not in result.output
