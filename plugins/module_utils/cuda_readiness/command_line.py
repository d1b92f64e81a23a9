# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For people without Ansible: PYTHONPATH=plugins/module_utils python3 -m cuda_readiness.command_line --help"""
from __future__ import annotations

import argparse
import itertools
import json
import sys

from . import capability as rules
from .docker_engine import EngineError
from .host import read_host
from .readiness import TargetError, report, unaccounted


def main(arguments=None):
    """Prints verdicts; exit code 0: all native or compiled at load, 1: something would not run, nobody knows whether it would, or it was not read, 2: no
    answer, for nothing could be read."""
    parser = argparse.ArgumentParser(
        prog="python3 -m cuda_readiness.command_line", description="Will this binary, image or container run on that GPU, and with whose libcuda?")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("path", nargs="?", help="file or folder")
    what.add_argument("--image", help="Docker image; it is not started")
    what.add_argument("--container", help="running container")
    parser.add_argument("--root", help="folder that is / to the loader")
    parser.add_argument("--capability", action="append", default=[], help="compute capability, such as 12.0; default: those of the host's GPUs")
    parser.add_argument("--driver-cuda", help="CUDA version of the driver, such as 13.0; default: the host's")
    parser.add_argument("--unreadable", action="append", default=[], metavar="GLOB", help="files that may be unreadable, whole or in part")
    parser.add_argument("--json", action="store_true", help="everything, with every module")
    options = parser.parse_args(arguments)
    host = read_host()
    try:
        capabilities = [rules.parse_capability(text) for text in options.capability or sorted({gpu["capability"] for gpu in host["gpus"]})]
        driver_cuda = rules.parse_cuda_version(options.driver_cuda) if options.driver_cuda else host["driver_cuda"]
        result = report(path=options.path, root=options.root, image=options.image, container=options.container, capabilities=capabilities,
                        driver_cuda=driver_cuda, kernel_module=host["kernel_module"], modules=options.json, remember=False)
    except (ValueError, TargetError, EngineError) as error:
        sys.stderr.write("cuda_readiness: %s\n" % error)
        return 2
    if options.json:
        _say_json(result)
    else:
        _print(result)
    left = unaccounted(result, options.unreadable)
    if left and not result["files"]:
        return 2
    return 1 if left or any(verdict["verdict"] not in (None, "native", "jit") for verdict in result["verdicts"].values()) else 0


def _say(line):
    sys.stdout.write(line + "\n")


def _say_json(result):
    """Some thousand pieces at a time: as one text it would take more memory than everything that was read."""
    pieces = json.JSONEncoder(indent=2, sort_keys=True).iterencode(result)
    for piece in pieces:
        sys.stdout.write(piece + "".join(itertools.islice(pieces, 5000)))
    _say("")


def _print(result):
    for entry in result["files"]:
        held = ", ".join(entry["architectures"] + ["%s (PTX %s)" % (ptx["target"], ptx["isa"]) for ptx in entry["ptx"]])
        _say("%s: %s" % (entry["path"], held or "no kernels"))
        for judged in entry["verdicts"].values():
            _say("    %s: %s" % (judged["verdict"] or "nothing to run", judged["reason"]))
    for found in result["libcuda"]:
        _say(found["reason"])
    for found in result["mapped"]:
        _say("mapped: %s (%s)" % (found["path"], found["origin"]))
    for problem in result["problems"]:
        _say("problem: %s" % problem)
    for verdict in result["verdicts"].values():
        _say(verdict["reason"])


if __name__ == "__main__":
    raise SystemExit(main())
