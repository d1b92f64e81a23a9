# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the host that a module only reads."""
from __future__ import annotations

import os
import threading

FOLDERS = ("/usr/sbin", "/sbin")  # whoever became root by su has the path of before, without them
ABSENT, SILENT = 127, 124  # as a shell and timeout(1) say it
LONGEST = 600  # seconds that a command may take
LIMITS = {"nvidia-smi": 60}  # with a card that hangs it never ends


class Bound:
    """Ends a command that does not answer. Called with its process, as run_command does before it reads what that prints.

    :param name: the command's, without its folder.
    """

    def __init__(self, name):
        self.seconds, self.passed, self._timer = LIMITS.get(name, LONGEST), False, None
        self.words = "%s has not answered within %g s" % (name, self.seconds)

    def __call__(self, process):
        self._timer = threading.Timer(self.seconds, self._end, (process,))
        self._timer.daemon = True
        self._timer.start()

    def _end(self, process):
        if process.poll() is None:
            self.passed = True
            process.kill()

    def over(self):
        """It has ended."""
        if self._timer is not None:
            self._timer.cancel()


def answer(module, *words, **environment):
    """How a command ended, and what it printed.

    :param module: the AnsibleModule that runs it.
    :param environment: variables besides its own. Without another one, LC_ALL is C.
    :returns: its exit status, 127 where there is no such command and 124 where it did not answer in time and was ended, its standard output and its standard
        error.
    """
    bound = Bound(words[0])
    path = os.pathsep.join([os.environ.get("PATH") or os.defpath, *FOLDERS])
    try:
        ended = module.run_command(list(words), handle_exceptions=False, environ_update=dict({"LC_ALL": "C", "PATH": path}, **environment),
                                   before_communicate_callback=bound)
    except OSError as error:
        return ABSENT, "", str(error)
    finally:
        bound.over()
    return (SILENT, ended[1], bound.words) if bound.passed else ended


def output(module, *words):
    """What a command prints, "" where it is not there."""
    return answer(module, *words)[1]
