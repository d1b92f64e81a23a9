"""What is told of several models of a store. How one is judged is test_model_rules.py's."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.modules import model_store_info

TEMPLATE = {"name": "chat.jinja", "role": "chat_template", "source": {"url": "https://example.com/chat.jinja"}}


@pytest.fixture
def look(tmp_path, capsys):
    """Runs the module and returns what it says of each model."""
    def run(*models):
        with patch_module_args({"store": str(tmp_path), "models": list(models), "_ansible_check_mode": True}), pytest.raises(SystemExit):
            model_store_info.main()
        found = json.loads(capsys.readouterr().out)
        assert found["changed"] is False
        return found["models"]
    run.folder = tmp_path
    return run


def test_each_model_is_judged_by_itself_in_its_order(look):
    (look.folder / "b").mkdir()
    (look.folder / "b" / "chat.jinja").write_text("{{ messages }}", encoding="utf-8")
    found = look({"name": "b", "architecture": "llama", "files": [TEMPLATE]}, {"name": "a", "architecture": "llama", "files": [TEMPLATE]})
    assert [(model["name"], model["architecture"]) for model in found] == [("b", ""), ("a", "")]
    assert found[0]["problems"] == [] and found[1]["problems"] == [
        "Model a, %s/a/chat.jinja: it is not there. Fetch it: run site.yml." % look.folder]


def test_no_models_are_none(look):
    assert look() == []


def test_what_cannot_be_served_is_refused_where_that_is_asked_for_and_all_folders_are_told(tmp_path, capsys):
    def asked(**given):
        with patch_module_args(dict({"store": str(tmp_path), "models": [{"name": "a", "architecture": "llama", "files": [TEMPLATE]}]}, **given)):
            with pytest.raises(SystemExit):
                model_store_info.main()
        return json.loads(capsys.readouterr().out)
    (tmp_path / "forgotten").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert asked()["folders"] == ["forgotten"] and not asked().get("failed")
    assert asked(refuse=True)["msg"] == "Model a, %s/a/chat.jinja: it is not there. Fetch it: run site.yml." % tmp_path
    assert asked(refuse=True, models=[])["folders"] == ["forgotten"] and asked(models=[], store=str(tmp_path / "none"))["folders"] == []
