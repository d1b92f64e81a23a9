"""Each claim of the role model_store holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import model_store
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

CATALOGUE = collection_roles.claim_catalogue("model_store")
MODELS = [{"name": "large", "architecture": "deepseek2", "files": [{"name": "1.gguf"}, {"name": "2.gguf"}]},
          {"name": "small", "architecture": "llama", "files": [{"name": "s.gguf"}]}]
SEEN = {"models": [{"name": "large", "architecture": "deepseek2", "problems": []}, {"name": "small", "architecture": "llama", "problems": []}]}


def rows(change=lambda models: None, models=tuple(MODELS)):
    """Claim, without its role, to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen["models"])
    return {name[len("models."):]: claims.judge(name, CATALOGUE[name], result) for name, result in model_store.results({"models": models}, seen).items()}


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert ["models." + name for name in found] == list(CATALOGUE)
    assert {name: (row["status"], row["expected"], row["observed"]) for name, row in found.items()} == {
        "verified": ("holds", "3 files of 2 models: whole, in their place, as they were verified", "3 files as expected"),
        "architecture": ("holds", "deepseek2, llama", "deepseek2, llama")}


@pytest.mark.parametrize("claim, change, observed", [
    ("verified", lambda models: models[0].update(problems=["Model large, 1.gguf: it was cut off."]), "Model large, 1.gguf: it was cut off."),
    ("verified", lambda models: [model.update(problems=[model["name"]]) for model in models], "large small"),
    ("architecture", lambda models: models[1].update(architecture="qwen3"), "deepseek2, qwen3"),
    ("architecture", lambda models: models[1].update(architecture=""), "deepseek2, unreadable"),
    ("architecture", lambda models: models[0].update(architecture="llama"), "llama, llama")])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim] and found[claim]["observed"] == observed


def test_what_nobody_looked_at_proves_nothing():
    assert named(rows(lambda models: models.pop()), "fails") == named(rows(lambda models: models.clear()), "fails") == ["verified", "architecture"]


def test_models_without_files_prove_nothing():
    assert named(rows(models=[dict(model, files=[]) for model in MODELS]), "fails") == ["verified"]


def test_a_store_of_which_nothing_is_used_claims_nothing():
    found = rows(lambda models: models.clear(), models=[])
    assert {row["reason"] for row in found.values()} == {"no service of the inventory uses a model"} and named(found, "does not apply") == list(found)
