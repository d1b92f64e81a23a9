# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that roles bring to a host and run there as ``python3 -m``, with the system's Python alone.

Here belongs what runs on a host outside of a play. What such a program decides by, a pure function, belongs to the room of its subject.
"""
