# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are not read here although somebody may take them for device code: what they are, and what to do."""
from __future__ import annotations

import re

CARRIERS = re.compile(r"(\.so(\.[0-9.]+)?|\.a|\.o|\.cubin|\.fatbin|\.ptx)$")
SCRIPT = re.compile(rb"\b(INPUT|GROUP|OUTPUT_FORMAT|SEARCH_DIR|AS_NEEDED)\s*\(")
# Beginning, where it stands, and what such a file is. Sources: the formats' own descriptions (APPNOTE.TXT, tar(5), RFC 1952, RFC 8878, Git LFS).
KINDS = [
    (b"PK\x03\x04", 0, "a zip archive, as a wheel is one; unpack it (python3 -m zipfile -e FILE FOLDER) and give the folder"),
    (b"PK\x05\x06", 0, "an empty zip archive"),
    (b"ustar", 257, "a tar archive; unpack it (tar -xf FILE -C FOLDER) and give the folder"),
    (b"\x1f\x8b", 0, "compressed by gzip; unpack it and give what was in it"),
    (b"\x28\xb5\x2f\xfd", 0, "compressed by zstd; unpack it and give what was in it"),
    (b"\xfd7zXZ\0", 0, "compressed by xz; unpack it and give what was in it"),
    (b"BZh", 0, "compressed by bzip2; unpack it and give what was in it"),
    (b"version https://git-lfs.github.com/spec/", 0, "a pointer of Git LFS, not the file itself; fetch it (git lfs pull)"),
    (b"GGUF", 0, "a model, which holds no device code"),
    (b"MZ", 0, "a program of Windows, which no Linux loads"),
    (b"\xcf\xfa\xed\xfe", 0, "a program of macOS, which no Linux loads"),
    (b"#!", 0, "a script, which holds no device code"),
]


def words(source, path, asked_for):
    """What a file is that holds nothing to read here; "" where nobody could take it for device code.

    :param source: ByteSource, the file.
    :param path: str, its path.
    :param asked_for: bool, the file itself was named, not a folder that it is in.
    """
    carries = bool(CARRIERS.search(path))
    if not asked_for and not carries:
        return ""
    if source.size == 0:
        return "it is empty"
    head = source.read(0, min(512, source.size))
    for magic, place, what in KINDS:
        if head[place:place + len(magic)] == magic:
            return "it is " + what
    if carries and SCRIPT.search(head):
        return ""  # a linker script in a library's place names the real one
    if not asked_for and head.startswith((b"BC\xc0\xde", b".TH", b".\\\"", b"'\\\"")):
        return ""  # LLVM's bitcode; a page of the manual, such as ld.so.8
    return "it is no ELF file, archive, cubin, fatbin or PTX"
