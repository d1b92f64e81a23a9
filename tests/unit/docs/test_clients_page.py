"""docs/clients.md is made of what the clients did, not written."""
import json
import runpy

from support import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
WHOLE = json.loads((ROOT / "tests" / "results" / "clients.json").read_text(encoding="utf-8"))
RECORD = WHOLE["clients"]
FEATURES = {"stream", "usage", "tools", "schema", "counting", "embeddings", "overflow", "broken"}
render = runpy.run_path(str(ROOT / "docs" / "render_clients.py"))["render"]


def test_the_page_is_what_the_record_says():
    # ./bunker records --mark says so where the code has changed since.
    assert render(RECORD, WHOLE.get("agents"), WHOLE.get("server")) == PAGE.replace(") (stale)", ")"), "run: python docs/render_clients.py"


def test_each_client_has_each_cell_and_a_cell_that_was_not_run_has_its_reason():
    assert {name.split(",", maxsplit=1)[0] for name in RECORD} >= {"openai", "anthropic", "langchain-openai", "litellm", "pydantic-ai", "openai-agents"}
    for client in RECORD.values():
        assert set(client["cells"]) == FEATURES
        assert all(cell.get("holds") is True or cell["reason"] for cell in client["cells"].values())


def test_what_does_not_hold_is_said_on_the_page():
    cells = {feature: {"holds": True, "said": "Error: x"} for feature in FEATURES}
    page = render({"one": {"version": "1.2", "cells": {**cells, "tools": {"holds": False, "said": "x"}, "counting": {"reason": "it has none"}}}})
    assert "| one | 1.2 | yes | yes | **no** | yes | – (1) | yes | yes | yes |" in page and "(1) it has none." in page and "| one | `Error` |" in page


def test_each_program_stands_on_the_page_with_what_came_of_it():
    agents = {name: {"version": "1.%d" % number, "how": name + ", by an API", "cells": {"tools": {"holds": name == "a", "said": "x"}}}
              for number, name in enumerate("ab")}
    page = render({}, agents)
    assert "| a, by an API | 1.0 | yes |" in page and "| b, by an API | 1.1 | **no** |" in page


def test_a_record_in_which_no_client_called_a_function_says_so():
    cells = {feature: {"holds": True, "said": "Error: x"} for feature in FEATURES}
    pages = [render({"one": {"version": "1.2", "cells": {**cells, "tools": tools}}}) for tools in ({"reason": "not run"}, {"holds": True, "said": "x"})]
    assert ["no call was run" in page for page in pages] == [True, False]
