"""Text of hosts on a terminal: nothing in it moves the cursor, and it keeps to its columns."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen.style import Style, clean, clock, last_part, width_of


@pytest.mark.parametrize(("said", "shown"), [
    ("\x1b[31mred\x1b[0m", "red"), ("\x1b]0;title\x07text", "text"), ("\x1b]8;;http://a\x1b\\link", "link"), ("a\x1b[2Jb", "ab"), ("a\x07\x08b", "ab"),
    ("a\u202eb\u200bc", "abc"), ("a\tb", "a    b"), ("a\nb", "a\nb"), ("\x9b31mx", "31mx"), ("\x1b", ""), ("é", "é")])
def test_what_would_move_a_cursor_is_left_out(said, shown):
    assert clean(said) == shown


@pytest.mark.parametrize(("line", "shown"), [("10 %\r20 %\r30 %", "30 %"), ("done\r\n", "done"), ("plain", "plain")])
def test_of_a_line_written_over_the_last_part_counts(line, shown):
    assert last_part(line) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (7.9, "0:07"), (750, "12:30"), (3723, "1:02:03"), (360000, "100:00:00"), (-1, "0:00")])
def test_time_is_told_as_people_read_it(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize(("text", "columns", "shown"), [
    ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("日本語です", 6, "日本…"), ("日本語", 6, "日本語"), ("e\u0301e\u0301", 2, "e\u0301e\u0301"), ("a\nb", 9, "a b")])
def test_what_is_cut_off_is_seen_to_be(text, columns, shown):
    assert Style().cut(text, columns) == shown
    assert width_of(shown) <= columns


def test_without_unicode_the_letters_are_spelled():
    assert Style(80, False, False).text("10 ± 2 · a → b… ≥ ж") == "10 +- 2 - a -> b... >= ?"
    assert Style(80, False, False).cut("abcdefgh", 6) == "abc..."


def test_a_line_breaks_between_words_and_within_one_that_is_too_long():
    assert Style().wrap("aa bb cc " + "d" * 20, 8) == ["aa bb cc", "dddddddd", "dddddddd", "dddd"]
    assert Style().wrap("one\ntwo", 8) == ["one", "two"]


def test_colour_is_written_only_where_it_is_asked_for():
    assert Style(80, True).paint("a", "bad") == "\x1b[1;31ma\x1b[0m"
    assert Style(80, False).paint("a", "bad") == "a"
    assert width_of(Style(80, True).paint("abc", "bad")) == 3
