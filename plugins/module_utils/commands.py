# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the host that a module only reads."""
from __future__ import annotations

ABSENT = 127  # as a shell says it


def answer(module, *words, **environment):
    """How a command ended, and what it printed.

    :param module: the AnsibleModule that runs it.
    :param environment: variables besides its own. Without another one, LC_ALL is C.
    :returns: its exit status, 127 where there is no such command, its standard output and its standard error.
    """
    try:
        return module.run_command(list(words), handle_exceptions=False, environ_update=dict({"LC_ALL": "C"}, **environment))
    except OSError as error:
        return ABSENT, "", str(error)


def output(module, *words):
    """What a command prints, "" where it is not there."""
    return answer(module, *words)[1]
