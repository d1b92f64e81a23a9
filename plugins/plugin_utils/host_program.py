# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a program of plugins/module_utils/host_programs on a host, without a module. Runs on the controller only."""
from __future__ import annotations

import json
import pathlib
import shlex

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "host_programs"
# Reads the program, whose length the first line says, and runs it; what follows on standard input is the request.
BEGIN = "import sys; n = int(sys.stdin.readline()); exec(compile(sys.stdin.read(n), 'program', 'exec'))"


def ask(action, name, request):
    """What a program answers. Standard input carries program and request, so that nothing of them is logged or lies in a temporary file.

    :param action: the action plugin that asks; its connection and privileges are used.
    :param name: file of host_programs.
    :param request: what JSON can say.
    :returns: dict.
    :raises ValueError: the program did not run, or answers why it could not do that.
    """
    program = (FOLDER / name).read_text(encoding="utf-8")
    text = "%d\n%s%s" % (len(program), program, json.dumps(request))
    done = action._low_level_execute_command("/usr/bin/python3 -c %s" % shlex.quote(BEGIN), in_data=text.encode("utf-8"), sudoable=True)
    try:
        answer = json.loads(done["stdout"])
    except ValueError:
        raise ValueError("The program on the host did not answer (status %s): %s" % (done.get("rc"), (done.get("stderr") or "").strip()[-500:])) from None
    if "failed" in answer:
        raise ValueError(answer["failed"])
    return answer
