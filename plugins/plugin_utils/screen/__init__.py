# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person watches while a host is taken to answering services: events become a state, a state becomes lines. Pure functions but for ``terminal``."""
from __future__ import annotations
