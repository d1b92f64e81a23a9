"""What ./bunker deploy shows, against captures that somebody has looked at: python tests/captures/screens.py makes them anew."""
import runpy
import types

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import live, style

CAPTURES = types.SimpleNamespace(**runpy.run_path(str(ROOT / "tests" / "captures" / "screens.py"), run_name="captures"))
SCREENS = CAPTURES.screens()
FILES = {path.name for path in (ROOT / "tests" / "captures" / "screens").iterdir()}


def test_each_screen_has_its_capture():
    assert set(SCREENS) == FILES


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_a_screen_is_as_it_was_looked_at(name):
    assert "".join(line + "\n" for line in SCREENS[name]) == (ROOT / "tests" / "captures" / "screens" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_line_is_wider_than_the_terminal_and_each_keeps_to_its_letters(name):
    width = 40 if ".low." in name else int(name.split(".")[1])
    lines = (ROOT / "tests" / "captures" / "screens" / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if style.width_of(line) > width] == []
    assert any("\x1b" in line for line in lines) == (".colour" in name)
    if ".ascii" in name:
        assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("height", range(1, 30))
@pytest.mark.parametrize("width", [24, 33, 80, 200])
def test_a_live_screen_fits_any_terminal(width, height):
    """And says the step as soon as there are a few lines for it."""
    for make in (CAPTURES.compiling, CAPTURES.overdue, CAPTURES.rebooting):
        state, now = make()
        lines = live.lines(state, now, style.Style(width, True, True), height)
        assert len(lines) <= max(2, height - 1)
        assert max(style.width_of(line) for line in lines) <= width
        if height >= 6:
            assert any(state.step.name[:8] in line for line in lines)
            assert any(state.phase in line for line in lines)
