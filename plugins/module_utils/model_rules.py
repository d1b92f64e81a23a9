# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the files of one model of the store: each one whole, in its place, and all of them one model.

A split model (gguf-split of llama.cpp): its first shard has all metadata; ``split.no`` counts from 0, ``split.count`` is the number of shards and
``split.tensors.count`` the number of tensors in all of them. llama.cpp is given the first one and finds the others by their names.
"""
from __future__ import annotations

import os

from . import gguf, verified_file


def _read(store, path, sha256):
    """(metadata or None, why the file cannot be used or "")."""
    reason = verified_file.misplaced(store, path)
    if reason:
        return None, "%s; a model's files lie in the store, so that what was verified is what is served. Put the file itself there" % reason
    if not os.path.isfile(path):
        return None, "it is not there. Fetch it: run site.yml"
    try:
        with open(path, "rb") as stream:
            metadata, _tensors, end = gguf.read_header(stream)
    except (OSError, gguf.GGUFError) as error:
        return None, "%s; a model is a whole GGUF file. Fetch it again" % error
    if os.path.getsize(path) < end:
        return metadata, "it has %d bytes, its header asks for %d: it was cut off. Fetch it again, and take its hash from where it is published" % (
            os.path.getsize(path), end)
    if sha256 and not verified_file.remembered(path, sha256):
        return metadata, "it is not the file that was verified against %s. Run site.yml, which reads it again" % sha256
    return metadata, ""


def _judge_shard(metadata, position, count, architecture):
    """What a readable file is not, position counted from 0."""
    found = gguf.whole(metadata, "split.count") or 1
    number = gguf.whole(metadata, "split.no") or 0
    if found != count:
        yield "it is one of %d shards, the catalogue names %d files. Name all shards, in order" % (found, count)
    elif number != position:
        yield "it is shard %d, the catalogue has it as number %d of %d. Put the shards in order; two may have been swapped" % (
            number + 1, position + 1, count)
    # Further shards need not say it.
    named = metadata.get("general.architecture", "" if position == 0 else architecture)
    if named != architecture:
        yield "its general.architecture is %s, the catalogue says %s. Correct the catalogue, or fetch the model that its name promises" % (
            named or "missing", architecture)


def judge(store, model, present_only=False):
    """Whether a model of the store can be served.

    :param store: path of the store.
    :param model: dict with ``name``, ``architecture`` and ``files``, each of these with ``name`` and ``sha256``; without a hash the record of its
        verification is not asked for.
    :param present_only: bool, files that are not there yet are no problem: the others are judged while they are fetched.
    :returns: dict of ``problems`` (list of str, each with the file's path, the rule and the remedy; empty when all is well), ``metadata`` of the
        first file and ``bytes`` of all of them.
    """
    problems, first, total, tensors = [], {}, 0, 0
    for position, entry in enumerate(model["files"]):
        path = os.path.join(store, model["name"], entry["name"])
        if present_only and not os.path.lexists(path):
            continue
        metadata, reason = _read(store, path, entry.get("sha256"))
        reasons = [reason] if reason else []
        if metadata is not None:
            first = first or metadata
            tensors += metadata["tensor_count"]
            total += os.path.getsize(path)
            reasons += _judge_shard(metadata, position, len(model["files"]), model["architecture"])
        problems += ["Model %s, %s: %s." % (model["name"], path, reason) for reason in reasons]
    promised = gguf.whole(first, "split.tensors.count")
    promised = tensors if promised is None else promised
    if not problems and promised != tensors and not present_only:
        problems.append("Model %s: its shards hold %d tensors, the first one promises %d. They are not of one model: fetch them from one place."
                        % (model["name"], tensors, promised))
    return {"problems": problems, "metadata": first, "bytes": total}
