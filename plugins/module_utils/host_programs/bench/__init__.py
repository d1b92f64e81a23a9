# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures services with llama-bench from their image, each measurement in a container of its own that ends with it.

    python3 -m ansible_collections.protocol_omni.bunker.plugins.module_utils.host_programs.bench.command_line PLAN STATE

PLAN and STATE are JSON files; the role throughput writes the one and reads the other. Prints a line for each measurement, with the time that is left. An
interrupted run goes on where it was.
"""
