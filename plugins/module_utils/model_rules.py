# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the files of one model of the store: each one whole, in its place, and all of them one model.

A split model (gguf-split of llama.cpp): its first shard has all metadata; ``split.no`` counts from 0, ``split.count`` is the number of shards and
``split.tensors.count`` the number of tensors in all of them. llama.cpp is given the first one and finds the others by their names.
"""
from __future__ import annotations

import os

from . import gguf, model_files, verified_file
from .llama import kinds

LONGEST_TEMPLATE = 4 << 20  # bytes; real ones have 60 kB at most


def _missing(store, path):
    """Why there is no file that could be read, "" where there is one."""
    reason = verified_file.misplaced(store, path)
    if reason:
        return "%s; a model's files lie in the store, so that what was verified is what is served. Put the file itself there" % reason
    return "" if os.path.isfile(path) else "it is not there. Fetch it: run site.yml"


def _unverified(path, sha256):
    """Why it is not the file that was verified, "" where it is, or where nobody asks."""
    if sha256 and not verified_file.remembered(path, sha256):
        return "it is not the file that was verified against %s. Run site.yml, which reads it again" % sha256
    return ""


def _read(store, path, sha256):
    """(header or None, why the file cannot be used or "")."""
    reason = _missing(store, path)
    if reason:
        return None, reason
    try:
        with open(path, "rb") as stream:
            header = gguf.read_header(stream)
    except (OSError, gguf.GGUFError) as error:
        return None, "%s; a model is a whole GGUF file. Fetch it again" % error
    if os.path.getsize(path) < header.length:
        return header, "it has %d bytes, its header asks for %d: it was cut off. Fetch it again, and take its hash from where it is published" % (
            os.path.getsize(path), header.length)
    return header, _unverified(path, sha256)


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


def _judge_template(store, path, sha256):
    """What is wrong with a chat template: at most one reason."""
    reason = _missing(store, path)
    if reason:
        return [reason]
    try:
        with open(path, "rb") as stream:
            content = stream.read(LONGEST_TEMPLATE + 1)
        text = content.decode("utf-8")
    except OSError as error:
        return ["it cannot be read: %s" % (error.strerror or error)]
    except UnicodeDecodeError as error:
        return ["at byte %d it is not UTF-8; a chat template is a text. Name the template itself, or give the file its right role" % error.start]
    if not text.strip() or "\0" in text or len(content) > LONGEST_TEMPLATE:
        what = "it is empty" if not text.strip() else "it holds a byte of 0" if "\0" in text else "it is longer than %d bytes" % LONGEST_TEMPLATE
        return ["%s; a chat template is a text in Jinja. Name the template itself" % what]
    return [reason for reason in [_unverified(path, sha256)] if reason]


def _judge_projector(metadata):
    """What a file that is to be a projector is instead (llama.cpp, tools/mtmd/clip.cpp)."""
    found = metadata.get("general.architecture", "")
    if found != "clip":
        yield ("its general.architecture is %s, a projector's is clip. Fetch the model's mmproj file, or give this one its right role" % (found or "missing"))


def _judge_adapter(metadata, architecture):
    """What a file that is to be an adapter of this architecture is not (llama.cpp, llama-adapter.cpp)."""
    kind, named, sort = (metadata.get(key, "") for key in ("general.type", "general.architecture", "adapter.type"))
    if kind != "adapter":
        yield "its general.type is %s, an adapter's is adapter. Convert it with convert_lora_to_gguf.py, or give it its right role" % (kind or "missing")
    elif named != architecture:
        yield "it is an adapter for %s, the model is %s. Fetch the one that was trained on this model" % (named or "no architecture", architecture)
    elif sort != "lora":
        yield "its adapter.type is %s, llama.cpp knows lora alone. Convert it with convert_lora_to_gguf.py" % (sort or "missing")


def _judge_other(store, path, entry, architecture):
    """A file that is no weights: (metadata or None, list of reasons)."""
    role = model_files.role_of(entry)
    if role == model_files.TEMPLATE:
        return None, _judge_template(store, path, entry.get("sha256"))
    header, reason = _read(store, path, entry.get("sha256"))
    reasons = [reason] if reason else []
    if header is not None:
        reasons += _judge_projector(header.metadata) if role == model_files.PROJECTOR else _judge_adapter(header.metadata, architecture)
    return header and header.metadata, reasons


def judge(store, model, present_only=False):
    """Whether a model of the store can be served.

    :param store: path of the store.
    :param model: dict with ``name``, ``architecture`` and ``files``, each of these with ``name``, ``sha256`` and, where it is no weights, ``role``; without
        a hash the record of its verification is not asked for.
    :param present_only: bool, files that are not there yet are no problem: the others are judged while they are fetched.
    :returns: dict of ``problems`` (list of str, each with the file's path, the rule and the remedy; empty when all is well), ``metadata`` of the
        first file, ``facts`` (of kinds.facts_of(); {} where one of its headers, or its projector's, could not be read) and ``bytes`` of all of them.
    """
    problems, first, total, tensors, projector = [], {}, 0, {}, None
    weights = model_files.weights(model["files"])
    counted, unread = 0, len(weights)  # files without which nobody knows what the model is for

    def path_of(entry):
        return os.path.join(store, model["name"], entry["name"])

    def say(entry, reasons):
        problems.extend("Model %s, %s: %s." % (model["name"], path_of(entry), reason) for reason in reasons)
    for position, entry in enumerate(weights):
        if present_only and not os.path.lexists(path_of(entry)):
            continue
        header, reason = _read(store, path_of(entry), entry.get("sha256"))
        reasons = [reason] if reason else []
        if header is not None:
            first = header.metadata if position == 0 else first
            unread -= 1
            counted += header.metadata["tensor_count"]
            tensors.update(header.tensors)
            total += os.path.getsize(path_of(entry))
            reasons += _judge_shard(header.metadata, position, len(weights), model["architecture"])
        say(entry, reasons)
    promised = gguf.whole(first, "split.tensors.count")
    if not problems and promised is not None and promised != counted and not present_only:
        problems.append("Model %s: its shards hold %d tensors, the first one promises %d. They are not of one model: fetch them from one place."
                        % (model["name"], counted, promised))
    for entry in model["files"]:
        projects = model_files.role_of(entry) == model_files.PROJECTOR
        unread += projects
        if entry not in weights and not (present_only and not os.path.lexists(path_of(entry))):
            metadata, reasons = _judge_other(store, path_of(entry), entry, model["architecture"])
            projector = metadata if projects else projector
            unread -= projects and metadata is not None
            total += os.path.getsize(path_of(entry)) if os.path.isfile(path_of(entry)) else 0
            say(entry, reasons)
    facts = {} if unread or not first else kinds.facts_of(first, tensors, projector)
    if facts and model_files.of_role(model["files"], model_files.TEMPLATE):
        facts["template"] = True  # of its own, where the header has none
    return {"problems": problems, "metadata": first, "facts": facts, "bytes": total}
