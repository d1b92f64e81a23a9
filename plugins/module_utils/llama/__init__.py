# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of llama.cpp itself: its options, its files, its server.

What an inventory may say of a service belongs to the rules; what runs on a host beside llama.cpp belongs to the program that does it.
"""
