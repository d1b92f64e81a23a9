"""docs/models.md is made, not written; some of its figures are computed here by hand."""
import re
import runpy

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import draft
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
PLAN = candidates.plan("https://hub.example")
ROWS = {cells[0]: cells for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| `"))}


def test_the_page_is_what_the_catalogue_says():
    assert runpy.run_path(str(ROOT / "docs" / "render_models.py"))["render"]() == PAGE, "run: python docs/render_models.py"


def test_every_model_of_the_plan_is_there():
    for word in ("deepseek-v3.2", "deepseek-v3-0324", "glm-4.7", "minimax-m2.1", "kimi-k2", "qwen2.5-coder-7b"):
        assert any(name.startswith("`" + word) for name in ROWS), word
    assert ROWS["`deepseek-v3.2-q4_k_m`"][2] == "deepseek32"


# Bytes of a token's cache by hand: MLA 61 layers of 576 halves, with the indexer 128 more (the field's case: 70272 without one); 92 layers (the 93rd drafts),
# 62 and 28 of keys and values of 8, 8 and 4 heads of 128 halves.
@pytest.mark.parametrize(("name", "token"), [
    ("deepseek-v3-0324-q3_k_m", 70272), ("deepseek-v3.2-q4_k_m", 70272 + 61 * 128 * 2), ("glm-4.7-ud-q4_k_xl", 92 * 2 * 8 * 128 * 2),
    ("minimax-m2.1-ud-q4_k_xl", 62 * 2 * 8 * 128 * 2), ("kimi-k2-0905-ud-q3_k_xl", 70272), ("qwen2.5-coder-7b", 28 * 2 * 4 * 128 * 2),
    ("qwen3.5-35b-a3b-q4_k_m", 10 * 2 * 2 * 256 * 2)])
def test_the_cache_of_a_model(name, token):
    assert ROWS["`%s`" % name][4] == "%.1f / %.1f" % (token * 8192 / 2 ** 30, token * 32768 / 2 ** 30)


def test_what_lies_in_ram_beside_the_cards_of_the_reference_host():
    """127.4 GiB of cards, 7 of each kept free: 113.4 GiB, or 121.8 GB, take the rest. 340 GB of RAM are the doctrine's."""
    assert ROWS["`deepseek-v3-0324-q3_k_m`"][5] == "198 of 340 GB"  # 319 GB, 0.6 of cache
    assert ROWS["`minimax-m2.1-ud-q2_k_xl`"][5] == "none"
    assert ROWS["`kimi-k2-0905-ud-q3_k_xl`"][5] == "331 of 340 GB"


@pytest.mark.parametrize(("name", "cards"), [
    ("gpt-oss-20b-mxfp4", ["yes", "yes"]), ("gpt-oss-120b-mxfp4", ["no", "yes"]), ("minimax-m2.1-ud-q2_k_xl", ["no", "yes"]),
    ("minimax-m2.1-ud-q4_k_xl", ["no", "no"]), ("qwen3.5-35b-a3b-q4_k_m", ["yes", "yes"])])
def test_what_lies_whole_on_one_card(name, cards):
    assert ROWS["`%s`" % name][6:8] == cards


def test_what_could_not_be_verified_is_said():
    assert ROWS["`deepseek-v3.2-q4_k_m`"][8] == "size, architecture" and ROWS["`minimax-m2.1-ud-q2_k_xl`"][8] == ""
    assert {word for model in PLAN for word in model["open"]} <= {"size", "architecture", "header"}


def test_every_entry_is_one_that_validation_takes():
    assert list(inventory_rules.check_models([draft.model_entry(model) for model in PLAN])) == []
    for model in PLAN:
        assert all(re.match(r"^https://hub\.example/[^/]+/[^/]+/resolve/main/", entry["source"]["url"]) for entry in model["files"])


def test_published_sizes_are_in_the_entry():
    (model,) = [one for one in PLAN if one["name"] == "minimax-m2.1-ud-q2_k_xl"]
    assert [entry["size"] for entry in model["files"]] == [49950511392, 35967481120]


def test_init_chooses_among_the_same_as_before():
    assert len(candidates.load()) == 8 and "deepseek-v3.2-q4_k_m" not in {one["name"] for one in candidates.load()}
