# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries and hubs say of what an inventory pins: digests, hashes, sizes, by their own HTTP APIs. Standard library only; runs on the controller."""
