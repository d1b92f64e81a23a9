"""The terminal is drawn over, not scrolled, and has its cursor back at the end."""
import fcntl
import os
import pty
import select
import struct
import termios

import pytest

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import terminal


@pytest.fixture
def window():
    """(Terminal, function that resizes it, function that reads what was written)."""
    near, far = pty.openpty()

    def resize(columns, rows=24):
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read():
        assert select.select([near], [], [], 5)[0], "nothing was written"
        return os.read(near, 65536).decode()

    resize(80)
    yield terminal.Terminal(far), resize, read
    os.close(near)
    os.close(far)


def test_a_second_picture_takes_the_place_of_the_first(window):
    screen, _resize, read = window
    screen.draw(["one", "two"])
    assert read().replace("\r\r\n", "\r\n") == "\x1b[?25l\x1b[?7l\rone\x1b[K\r\ntwo\x1b[K\r\n\x1b[J"
    screen.draw(["three"])
    assert read().startswith("\x1b[2A\rthree\x1b[K")


def test_a_window_that_became_narrower_has_more_rows_to_go_back(window):
    screen, resize, read = window
    screen.draw(["x" * 80, "y"])
    read()
    resize(30)
    screen.draw(["z"])
    assert read().startswith("\x1b[4A\rz")  # 80 columns are three rows of 30


def test_lines_that_stay_are_written_above_and_the_cursor_comes_back_once(window):
    screen, _resize, read = window
    screen.draw(["picture"])
    read()
    screen.above(["a warning"])
    assert read().startswith("\x1b[1A\r\x1b[J\x1b[?7ha warning")
    screen.close()
    assert read() == "\x1b[?7h\x1b[?25h"
    screen.close()
    screen.write("end")
    assert read() == "end"


def test_a_window_that_is_gone_does_not_end_the_run():
    near, far = pty.openpty()
    screen = terminal.Terminal(far)
    os.close(near)
    os.close(far)
    screen.draw(["a"])
    screen.close()
    assert screen.size() == (80, 24)


def test_what_is_printed_is_taken_by_whole_lines():
    taken = []
    stream = terminal.Catcher(taken.append)
    assert stream.write("half") == 4
    stream.write(" a line\nand ")
    stream.flush()
    assert taken == ["half a line"]
    stream.write("more\n\n")
    assert taken == ["half a line", "and more\n"]
