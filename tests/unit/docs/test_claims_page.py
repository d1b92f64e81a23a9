"""docs/claims.md is made, not written; and it holds every figure of the doctrine."""
import pathlib
import runpy

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_sources_say():
    assert runpy.run_path(str(ROOT / "docs" / "render_claims.py"))["render"]() == PAGE, "run: python docs/render_claims.py"


def test_every_role_with_claims_is_on_the_page():
    roles = {path.parents[1].name for path in (ROOT / "roles").glob("*/vars/claims.yml")}
    assert roles == set(runpy.run_path(str(ROOT / "docs" / "render_claims.py"))["ORDER"])


@pytest.mark.parametrize("figure", [
    "10.9", "16.39", "172 tok/s", "6.4 GB", "20+ tok/s", "40+ tok/s", "21GB", "98GB", "sm_120", "117 GB", "7 GB", "8192", "4096", "340 GB",
    "192", "172.30.0.0/16", "172.31.0.0/16", "580.95.05", "sm_75/86/89", "4-model", "NPS1", "FORCE_DMMV", "compat", "96 GB", "32 GB", "5 s",
])
def test_every_figure_of_the_doctrine_is_mapped(figure):
    assert figure in PAGE
