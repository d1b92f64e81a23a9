# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards of a split model by their names, before any is fetched. Pure functions.

llama.cpp is given the first shard and finds the others by number (llama_split_path in llama.cpp).
"""
from __future__ import annotations

import re

from . import model_files

SHARD = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})\.gguf")


def problems(model):
    """What the names of a model's files, and those that they are fetched by, say is wrong: generator of (what is found, rule, remedy)."""
    weights = model_files.weights(model["files"])  # files of other roles are no shards
    names = [entry["name"] for entry in weights]
    yield from _missing(names) or _misnamed(names) or _swapped(weights)


def _missing(names):
    """Shards of one model of which some are not named; [] where that is not what is wrong."""
    found = [SHARD.fullmatch(name) for name in names]
    if not names or not all(found) or len({(match.group(1), match.group(3)) for match in found}) > 1:
        return []
    prefix, count = found[0].group(1), int(found[0].group(3))
    numbers = {int(match.group(2)) for match in found}
    missing = sorted(set(range(1, count + 1)) - numbers)
    if not missing or len(numbers) < len(names) or max(numbers) > count or len(missing) > 999 or count == len(names):
        return []
    is_not = "shard %s of %d is not named" if len(missing) == 1 else "shards %s of %d are not named"
    return [(is_not % (_words(missing), count), "a model's shards are all named",
             "Add %s." % _words(["%s-%05d-of-%05d.gguf" % (prefix, number, count) for number in missing]))]


def _misnamed(names):
    prefix = re.sub(r"-00001-of-[0-9]{5}\.gguf$", "", names[0]) if names else ""
    if SHARD.fullmatch(names[0] if names else ""):
        prefix = SHARD.fullmatch(names[0]).group(1) if len(names) > 1 else prefix
    for position, name in enumerate(names, 1):
        wanted = "%s-%05d-of-%05d.gguf" % (prefix, position, len(names))
        if (len(names) > 1 or prefix != names[0]) and name != wanted:
            return [("file %s as number %d of %d" % (name, position, len(names)),
                     "shards are all there, in order, under the names that llama.cpp looks for",
                     "Expected here: %s. A projector, a chat template or an adapter says so by its role." % wanted)]
    return []


def _swapped(files):
    """Shards that are fetched under another shard's name."""
    found = []
    for entry in files:
        source = entry.get("source") or {}
        origin = next((source[key] for key in ("member", "filename", "url", "file") if source.get(key)), "")
        own, other = SHARD.fullmatch(entry["name"]), SHARD.fullmatch(origin)
        if own and other and own.group(3) == other.group(3) and own.group(2) != other.group(2):
            found.append(("%s is fetched from %s" % (entry["name"], origin), "a shard is fetched under its own number",
                          "Give it the source of shard %d; two may have been swapped." % int(own.group(2))))
    return found[:1]


def _words(things):
    things = [str(thing) for thing in things]
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
