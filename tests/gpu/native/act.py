# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for roles/vram_watch/files/act.py where there is no container engine; same arguments, same answer: act.py SETTINGS RUNG DRAIN REASON."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import native_service  # noqa: E402

answer = native_service.step(native_service.read(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
print(json.dumps(answer))
sys.exit(0 if answer["done"] else 1)
