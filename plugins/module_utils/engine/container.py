# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardening that every container of llama.cpp has: the services', the bench's and that of llama-fit-params. Pure functions."""
from __future__ import annotations

# An ordinary user without capabilities, on a file system that nobody can write to. Its output goes to whoever ran it, and to no file of the engine's.
HARDENING = ("--pull", "never", "--log-driver", "none", "--user", "65532:65532", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
             "--pids-limit", "4096")


def hardened(name=""):
    """Options of ``docker run`` for a container that is removed when it ends.

    :param name: of the container, "" for one that the engine makes up.
    :returns: list of words, without ``docker run`` itself.
    """
    return ["--rm"] + (["--name", name] if name else []) + list(HARDENING)


def locked_memory(load_mode):
    """Options of ``docker run`` for llama.cpp's ``--load-mode``: without them mlock() fails, as a container may lock 8 MB (llama.cpp#4072).

    :param load_mode: one of llama.cpp's, "" for its default.
    :returns: list of words.
    """
    return ["--ulimit", "memlock=-1:-1"] if "mlock" in load_mode else []
