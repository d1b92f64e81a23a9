# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML that is made of elements: whatever is no element is text, and escaped."""
from __future__ import annotations

import html

from ..screen import style

VOID = ("meta", "input", "br", "link")


class Html(str):
    """Markup that was made here."""


def text(value):
    """A value as text of a page: escaped, without controls and marks of direction."""
    return value if isinstance(value, Html) else Html(html.escape(style.clean("" if value is None else value), quote=True))


def _attribute(name, value):
    """`` name="value"``; nothing for None and False. ``class_`` is class, ``data_x`` is data-x."""
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return " " + name if value is True else ' %s="%s"' % (name, text(value))


def tag(name, /, *content, **attributes):
    """An element.

    :param content: elements, and text that is escaped; None is nothing.
    :param attributes: as in ``class_="a"``, ``data_role="b"``, ``hidden=True``.
    """
    opened = "<%s%s>" % (name, "".join(_attribute(key, value) for key, value in attributes.items()))
    return Html(opened if name in VOID else "%s%s</%s>" % (opened, "".join(text(part) for part in content if part is not None), name))


def join(parts, between=""):
    """Elements one after the other."""
    return Html(text(between).join(text(part) for part in parts))


def table(caption, head, rows, class_=None):
    """A table with a caption and a heading a column; the first cell of a row is its heading."""
    body = [tag("tr", tag("th", row[0], scope="row"), *[tag("td", cell, data_label=word) for word, cell in zip(head[1:], row[1:])]) for row in rows]
    return tag("div", tag("table", tag("caption", caption), tag("thead", tag("tr", *[tag("th", word, scope="col") for word in head])), tag("tbody", *body)),
               class_="wide %s" % (class_ or ""), tabindex="0", role="region", aria_label=caption)


def size(count):
    """Bytes as people read them, in GiB or MiB."""
    if not isinstance(count, (int, float)):
        return "not known"
    return "%.1f GiB" % (count / 2 ** 30) if count >= 2 ** 30 else "%.0f MiB" % (count / 2 ** 20)
