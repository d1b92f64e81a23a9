# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throughput of the services: what to measure on a host, which of it is best, how close to the limit that is, and what is deployed of it. Pure functions but
for reading.py; the program that measures is the role throughput's."""
