# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which block devices are disks, and by which name each is called that stays from boot to boot. Pure functions."""
from __future__ import annotations

import re

# Memory, loops, what is built on others, optical and floppy drives: no disks of their own.
NO_DISK = re.compile(r"^(loop|ram|zram|dm-|md|sr|fd|nbd|zd|drbd|rbd|mtdblock)")
# People read a maker and a serial number more easily than a number of the bus.
WORSE = re.compile(r"^(wwn-|nvme-eui|nvme-nvme|scsi-[0-9]|dm-|lvm-|md-)")


def is_disk(name, removable):
    """Whether a name of /sys/block is a disk that stays in its host.

    :param removable: what its file "removable" says.
    """
    return not NO_DISK.match(name) and removable.strip() != "1"


def stable_name(links):
    """The link under /dev/disk by which a disk is best called; None where it has none.

    :param links: paths of links that lead to the device.
    """
    def order(path):
        kind, _slash, name = path.removeprefix("/dev/disk/").partition("/")
        return (kind != "by-id", kind != "by-path", bool(WORSE.match(name)), name.endswith("_1"), len(name), name)
    fit = [path for path in links if re.match(r"^/dev/disk/by-(id|path)/\S+$", path)]
    return min(fit, key=order) if fit else None
