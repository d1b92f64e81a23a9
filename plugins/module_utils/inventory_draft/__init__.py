# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a bare host is, and what a person has decided, to the variables of its inventory. Pure functions; sizes are bytes.

``draft.draft`` is the whole; ``cards``, ``disks``, ``subnets`` and ``models`` each answer one question, ``access`` says why a host could not be read.
"""
