# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of the keys that sign package repositories."""
from __future__ import annotations

from .. import openpgp
from .fetch import OriginError


def fingerprint(fetcher, address):
    """The fingerprint of the one key at an address, 40 capital hexadecimal digits. That it is the publisher's a person has to say.

    :raises OriginError: it cannot be fetched, is no key, or there are several.
    """
    try:
        found = openpgp.fingerprints(fetcher.get(address).body)
    except openpgp.OpenPGPError as error:
        raise OriginError("%s: is no OpenPGP key: %s. See what stands there." % (address, error)) from error
    if len(found) != 1:
        raise OriginError("%s: holds %d keys, %s. Choose by hand which one signs." % (address, len(found), ", ".join(found) or "none"))
    return found[0]
