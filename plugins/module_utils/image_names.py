# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names of golden images the host needs no more."""
from __future__ import annotations

import re

HASHED = re.compile(r"[0-9a-f]{16}")


def superfluous(lines, current, alias, keep):
    """Tags that go: images of earlier inputs beyond those that are kept, images that an interrupted play left unproven, and earlier aliases.

    What a container was made from keeps the name of its inputs. An alias that the inventory gives no more goes where the image is named otherwise, by the
    inputs of this run, or goes itself: a name that somebody gave to another image by hand is what keeps that image.

    :param lines: list of str, "image TAG IDENTIFIER", newest first, and "used IDENTIFIER" of each container.
    :param current: str, hash of the inputs of this run; an image is tagged with its first 16 digits.
    :param alias: str, the tag that people know.
    :param keep: int, how many images of earlier inputs stay.
    :returns: list of str.
    """
    words = [line.split() for line in lines]
    used = {line[1] for line in words if line[0] == "used"}
    tags = [(line[1], line[2]) for line in words if line[0] == "image" and line[1] not in (alias, current[:16])]
    earlier = [tag for tag in tags if HASHED.fullmatch(tag[0])][keep:]
    going = [tag for tag in earlier if tag[1] not in used]
    unproven = [tag for tag in tags if tag[0].startswith("unproven-")]
    present = {line[2] for line in words if line[0] == "image" and line[1] == current[:16]}
    named = present | {identifier for _tag, identifier in going}
    aliases = [tag for tag in tags if not HASHED.fullmatch(tag[0]) and tag not in unproven and tag[0] != "<none>" and tag[1] in named]
    return [tag for tag, _identifier in going + unproven + aliases]
