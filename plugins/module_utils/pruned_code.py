# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What device code a pruned library holds, and what is gone from it, read without the program that pruned it.

A fatbin's entry keeps its header when its code is emptied, so what is gone has a name. Cubins that lie in zstd frames of their own have none: of those only
the ones that are left can be counted. Either kind is summed up by its target, so that two looks at a library can be compared. The layout of fatbins:
docs/cuda-readiness.md; frames: zstd.h. Standard library only, and the system's libzstd.
"""
from __future__ import annotations

import ctypes
import fnmatch
import hashlib
import json
import posixpath

from .cuda_readiness import capability
from .cuda_readiness.byte_source import FormatError
from .cuda_readiness.device_code import read_device_code
from .cuda_readiness.fatbin import architecture

FOLDER, PATTERNS, MANIFEST = "/opt/llama", ("libcublas.so.*", "libcublasLt.so.*"), "pruned.jsonl"
ZSTD_MAGIC, ELF_MAGIC, EM_CUDA = b"\x28\xb5\x2f\xfd", b"\x7fELF\2\1", 190
LARGEST_FRAME, LARGEST_CUBIN, PIECE = 16 << 20, 256 << 20, 1 << 20
SUFFIXES = ("", "a", "f")


class _Sums:
    """Number, bytes and SHA-256 of pieces of code, by a name."""

    def __init__(self):
        self._sums = {}

    def add(self, name, size, pieces):
        """Adds one piece of so many bytes."""
        known = self._sums.setdefault(name, [0, 0, hashlib.sha256()])
        known[0] += 1
        known[1] += size
        for piece in pieces:
            known[2].update(piece)

    def plain(self):
        return {name: [count, size, digest.hexdigest()] for name, (count, size, digest) in sorted(self._sums.items())}


def _pieces(source, begin, size):
    for place in range(begin, begin + size, PIECE):
        yield source.read(place, min(PIECE, begin + size - place))


def _header(source, entry):
    return source.unpack("<I", entry.offset - source.start + 4)[0]


def look(source, name):
    """What one library holds.

    :param source: byte_source.ByteSource, the library.
    :returns: dict of ``file``; ``there`` and ``emptied``, target such as sm_90a to [entries, bytes, SHA-256 of their code in its order] and to the number
        of entries whose code is zeros; ``frames``, SM as a str to the same list of the cubins outside of fatbins; ``unread``, list of str, what was not
        understood, with its place.
    """
    code, there, emptied, ends = read_device_code(source, name), _Sums(), {}, []
    # In the order of the file, as the build's manifest has them: a table of sections may have another.
    modules = sorted((found.module for found in (code.found if code else ()) if found.module.form == "fatbin"), key=lambda module: module.offset)
    for module in modules:
        ends.append((module.offset - source.start, module.end))
        for entry in module.entries:
            target = architecture(entry) if entry.kind in ("cubin", "ptx", "lto") else "kind%s_%d" % (entry.kind, entry.sm)
            begin = entry.offset - source.start + _header(source, entry)
            if any(any(piece) for piece in _pieces(source, begin, entry.size)):
                there.add(target, entry.size, _pieces(source, begin, entry.size))
            elif entry.size:
                emptied[target] = emptied.get(target, 0) + 1
    frames, unread = _frames(source, ends)
    return {"file": name, "there": there.plain(), "emptied": emptied, "frames": frames, "unread": (code.unread if code else ["it is no ELF file"]) + unread}


def _frames(source, covered):
    """(SM to sums of the cubins outside of what is covered, list of what keeps them from being read)."""
    try:
        zstd = ctypes.CDLL("libzstd.so.1")
    except OSError as error:
        return {}, ["cubins outside of fatbins were not looked for: %s" % error]
    zstd.ZSTD_findFrameCompressedSize.restype = zstd.ZSTD_decompress.restype = ctypes.c_size_t
    zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    sums, place = _Sums(), 0
    for begin, end in sorted(covered) + [(source.size, source.size)]:
        while place < begin:
            place = source.find([ZSTD_MAGIC], place, begin)[0]
            if place < 0:
                break
            data = source.read(place, min(LARGEST_FRAME, begin - place))
            size = zstd.ZSTD_findFrameCompressedSize(data, ctypes.c_size_t(len(data)))
            sm = _sm(_unpacked(zstd, data, size)) if size <= len(data) else None  # an error is a number near the largest one
            if sm is not None:
                sums.add(str(sm), size, [data[:size]])
            place += size if sm is not None else len(ZSTD_MAGIC)
        place = max(place, end) if place >= 0 else end
    return sums.plain(), []


def _unpacked(zstd, data, size):
    """What a frame holds, b"" where that cannot be told or is far from a cubin's size."""
    length = zstd.ZSTD_getFrameContentSize(data, ctypes.c_size_t(size))
    if not 64 <= length <= LARGEST_CUBIN:
        return b""
    target = ctypes.create_string_buffer(length)
    return target.raw if zstd.ZSTD_decompress(target, ctypes.c_size_t(length), data, ctypes.c_size_t(size)) == length else b""


def _sm(data):
    """The SM of a cubin, None of anything else."""
    if data[:6] != ELF_MAGIC or int.from_bytes(data[18:20], "little") != EM_CUDA:
        return None
    flags = int.from_bytes(data[48:52], "little")
    return flags >> 8 & 0xff if data[8] >= 8 else flags & 0xff


def of_tree(tree):
    """The pruned libraries of an image and the build's manifest of them.

    :param tree: file_trees.Tree, the image.
    :returns: dict of ``libraries``, list of :func:`look`, and ``manifest``, list of what prune-device-code printed when the image was built.
    """
    found = {"libraries": [], "manifest": []}
    for path, _node in tree.walk(FOLDER):
        name = posixpath.basename(path)
        if not any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS):
            continue
        try:
            with tree.open(path) as source:
                found["libraries"].append(look(source, name))
        except (OSError, FormatError) as error:
            found["libraries"].append({"file": name, "there": {}, "emptied": {}, "frames": {}, "unread": [str(error)]})
    for line in (tree.read_text("%s/%s" % (FOLDER, MANIFEST)) or "").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        found["manifest"] += [row] if isinstance(row, dict) else []
    return found


def might_run(target, cards):
    """Whether any of the cards runs code for a target, or may do so: what is not known counts.

    :param target: str such as sm_90a, compute_75 or lto_90, as :func:`fatbin.architecture` names it.
    :param cards: list of str, compute capabilities such as "9.0".
    """
    kind, _separator, number = target.partition("_")
    rule = {"sm": capability.machine_code_runs, "compute": capability.ptx_fits}.get(kind)
    digits = number.rstrip("af")
    if rule is None or not (digits.isascii() and digits.isdigit()):
        return True
    return any(rule(int(digits), number[len(digits):], capability.parse_capability(card)) is not False for card in cards)


def _are_sums(value):
    """Whether a value of a manifest, which anybody may have written, has the shape of :class:`_Sums`."""
    return isinstance(value, dict) and all(isinstance(row, list) and len(row) == 3 and isinstance(row[0], int) for row in value.values())


def missing(seen, cards):
    """What the cards could run and the libraries do not hold any more.

    :param seen: result of :func:`of_tree`.
    :param cards: list of str, compute capabilities.
    :returns: list of str, empty where all is there.
    """
    found, manifest = [], {row["file"]: row for row in seen["manifest"] if isinstance(row.get("file"), str)}
    for library in seen["libraries"]:
        said = ["%s: %s" % (library["file"], text) for text in library["unread"]]
        said += ["%s: %d of %s emptied" % (library["file"], count, target) for target, count in sorted(library["emptied"].items()) if might_run(target, cards)]
        before = manifest.pop(library["file"], None)
        if not said and (before is None or not _are_sums(before.get("before")) or not _are_sums(before.get("frames_before"))):
            said = ["%s: %s does not say what it held" % (library["file"], MANIFEST)]
        # What is there must be what there was, to the last byte; what the manifest alone knows of are frames, which leave no header behind.
        found += said or _differences(library, before, cards)
    return found + ["%s: not in the image" % name for name in manifest] + ([] if seen["libraries"] else ["no %s in %s" % (" or ".join(PATTERNS), FOLDER)])


def _differences(library, before, cards):
    said = []
    for key, there, prefix in (("before", library["there"], ""), ("frames_before", library["frames"], "frames of sm_")):
        for target in sorted({*before[key], *there}):
            wanted = might_run(target, cards) if not prefix else any(might_run("sm_%s%s" % (target, suffix), cards) for suffix in SUFFIXES)
            was, now = before[key].get(target, [0, 0, ""]), there.get(target, [0, 0, ""])
            if wanted and was != now:
                said.append("%s: %s%s are %d of %d, %s" % (library["file"], prefix, target, now[0], was[0],
                                                           "others than before" if was[0] == now[0] else "before it was pruned"))
    return said
