# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files of the engine as people leave them: what is wrong with one, by its line, and how it is mended. Pure functions over bytes."""
from __future__ import annotations

import codecs
import json

# By how a file begins; the longer marks first, since UTF-32's begins as UTF-16's does.
_MARKS = [(codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16")]


class Refused(Exception):
    """A file that is not merged into; the message says where, what was found, what is needed, and the remedy."""


def text_of(content, path):
    """The text of a file.

    :param content: its bytes.
    :raises Refused: it is not UTF-8, or begins with a byte order mark.
    """
    if content.startswith(codecs.BOM_UTF8):
        raise Refused("%s, line 1: found a byte order mark; needed UTF-8 without one. Remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' %s" % (path, path))
    for mark, name in _MARKS:
        if content.startswith(mark):
            raise Refused("%s, line 1: found %s; needed UTF-8. Convert it: iconv -f %s -t UTF-8 %s > /tmp/converted && cp /tmp/converted %s" % (
                path, name, name, path, path))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refused("%s, line %d: found the byte 0x%02x, which is no UTF-8; needed UTF-8. Correct the line, or convert the file from what it was written in: "
                      "iconv -f ISO-8859-1 -t UTF-8 %s > /tmp/converted && cp /tmp/converted %s" % (path, line, content[error.start], path, path)) from error


def _comment(line, column):
    """The comment that stands where JSON expected something else; "" where none does."""
    rest = line[column - 1:].strip()
    return rest if rest.startswith(("//", "/*", "#")) else ""


def _constant(word):
    raise ValueError("the word %s, which is no JSON" % word)


def _finite(word):
    """A number with a point or an exponent. One that is too large would be written back as the word Infinity, with which no engine starts."""
    if float(word) in (float("inf"), float("-inf")):
        raise ValueError("the number %s, which is larger than any that can be written back" % word[:40])
    return float(word)


def _once(pairs):
    """An object none of whose names stands twice: of two the engine merges the objects and takes the last of all else, and one would be lost here."""
    found = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("the name %s twice in one object" % json.dumps(name)[:60])
        found[name] = value
    return found


def options_of(content, path="/etc/docker/daemon.json"):
    """The options that daemon.json sets, a dict; {} of an empty one.

    :param content: its bytes.
    :raises Refused: it is no JSON object that can be merged into.
    """
    text = text_of(content, path)
    if not content:
        return {}
    show = "See: python3 -m json.tool %s. Or set it aside, and its options are written anew: mv %s %s.aside" % (path, path, path)
    try:
        found = json.loads(text, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        comment, shown = _comment(line, error.colno), line.strip()[:60]
        if comment:
            raise Refused("%s, line %d: found a comment (%s); needed JSON, which has none, and which is written anew when it is merged into. Remove the "
                          "comment. %s" % (path, error.lineno, comment[:60], show)) from error
        raise Refused("%s, line %d: found %s (%s, column %d); needed a JSON object. Correct the line. %s" % (
            path, error.lineno, repr(shown) if shown else "its end", error.msg, error.colno, show)) from error
    except RecursionError as error:
        raise Refused("%s: found objects in objects without end; needed the options of dockerd. Correct the file. %s" % (path, show)) from error
    except ValueError as error:
        raise Refused("%s: found %s; needed a JSON object. Correct it. %s" % (path, error, show)) from error
    if not isinstance(found, dict):
        raise Refused("%s, line 1: found %s; needed a JSON object. It is merged into, never overwritten: write its options as {…}, or remove the file. %s" % (
            path, {list: "a list", str: "a text", bool: "a word", type(None): "null"}.get(type(found), "a number"), show))
    if not isinstance(found.get("data-root") or "", str):
        raise Refused("%s: found a data-root that is no text; needed a path. Correct it. %s" % (path, show))
    return found


def merged(options, wanted):
    """Options with those that are wanted: an object is merged into, anything else is replaced.

    :param options: of :func:`options_of`.
    :param wanted: dict of the same shape.
    """
    both = {name: merged(options[name], value) if isinstance(value, dict) and isinstance(options.get(name), dict) else value for name, value in wanted.items()}
    return dict(options, **both)
