"""While the tests' image is compiled, the tests beside it step back, and no longer."""
import pytest
from support import image


def test_the_tests_step_back_while_the_image_is_made_also_where_that_fails(tmp_path, monkeypatch):
    group = tmp_path / "autogroup"
    group.write_text("0", encoding="ascii")
    monkeypatch.setattr(image, "AUTOGROUP", group)
    with pytest.raises(RuntimeError, match="no image"), image.compiler_first():
        assert group.read_text(encoding="ascii") == "10"
        raise RuntimeError("no image")
    assert group.read_text(encoding="ascii") == "0"


def test_without_groups_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "AUTOGROUP", tmp_path / "not there" / "autogroup")
    with image.compiler_first():
        pass
    assert list(tmp_path.iterdir()) == []
