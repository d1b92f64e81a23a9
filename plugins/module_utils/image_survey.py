# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of an image: its configuration by the engine, and what a look into it prints. Pure functions. Standard library only."""
from __future__ import annotations

import re

PASSWORD = re.compile(r"://[^\s/@]+@")  # an address of an index may carry one
# For the image's own bash, which has no Python beside it. One line a finding, its kind first; the last one says that it came to its end.
LOOK = r"""
find / -xdev -name 'libcuda.so*' -printf 'libcuda: %p\n' && echo 'searched: /'
for tool in gcc cc g++ nvcc cmake python3 systemctl curl wget; do
    if found=$(command -v "$tool"); then echo "tool: $found"; fi
done
for file in /opt/llama/libggml-cpu*.so; do
    if [ -e "$file" ]; then echo "variant: ${file##*/}"; fi
done
dpkg-query --show --showformat 'package: ${Package}_${Version}\n'
sed 's/^/input: /' /usr/share/protocol_omni/inputs.lock
sed 's/^/configured: /' /usr/share/protocol_omni/configured.txt
echo 'end: /'
"""
KINDS = ("libcuda", "searched", "tool", "variant", "package", "input", "configured", "end")


def inside(text):
    """What a look into the image found.

    :param text: what :data:`LOOK` printed.
    :returns: dict of each of :data:`KINDS` to the list of its lines.
    """
    found = {kind: [] for kind in KINDS}
    for line in text.splitlines():
        kind, separator, rest = line.partition(": ")
        if separator and kind in found:
            found[kind].append(rest)
    return found


def layers(found):
    """An image's layers, the newest first: list of dicts of ``made_by`` (without passwords) and ``size`` (bytes).

    :param found: the engine's answer to ``/images/NAME/history``, None where it knows none. What tells no size is left out.
    """
    return [{"made_by": PASSWORD.sub("://…@", " ".join(str(layer.get("CreatedBy") or "").split())), "size": layer["Size"]}
            for layer in found or [] if isinstance(layer.get("Size"), int)]


def image(found):
    """What counts of an image, {} of none.

    :param found: the engine's answer to ``/images/NAME/json``, None where it knows none.
    """
    if not found:
        return {}
    configured = found.get("Config") or {}
    return {"id": found["Id"], "tags": [str(name) for name in found.get("RepoTags") or []], "size": found.get("Size") or 0,
            "labels": configured.get("Labels") or {}, "environment": configured.get("Env") or [], "user": configured.get("User") or ""}


def names(listed, containers, name):
    """Lines of what there is of a name, as :func:`image_names.superfluous` has them: images, the newest first, then what containers were made from.

    :param listed: the engine's answer to ``/images/json``.
    :param containers: the engine's answer to ``/containers/json?all=1``.
    :param name: the images', without a tag.
    """
    newest = sorted(listed, key=lambda found: found.get("Created") or 0, reverse=True)
    tags = [(tag.rpartition(":"), found["Id"]) for found in newest for tag in found.get("RepoTags") or []]
    return ["image %s %s" % (tag[2], identifier) for tag, identifier in tags if tag[0] == name] + ["used %s" % found["ImageID"] for found in containers]
