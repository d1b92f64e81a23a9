"""What the build of the site's image took on this machine, file by file.

The lines COMPILED of the build's log. Where the log is of a later build that compiled nothing, or the bundle's recipe printed none yet, ninja's own log is
still in the builder's layers: when each file was compiled, without the processor's time. They lie in the host's logs afterwards, for tools/compile_times.py.
"""
import sys

from card_host import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import compile_times  # noqa: E402

LINES = ("grep -h ' COMPILED ' /var/log/protocol_omni/golden-image-build.log || "
         "find /var/lib/docker/overlay2 -path '*/diff/build/.ninja_log' -exec sed '1d; s/^/#0 0.0 COMPILED at /' {} \\; -quit")


def compiled(host):
    """The step: the table by group, and how the cores were used."""
    text = host.execute(LINES)
    (host.logs / "compiled.log").write_text(text, encoding="utf-8")
    files = compile_times.compiled(text)
    return {**compile_times.used(files), "groups": compile_times.grouped(files)}


STEPS = {"compiled": compiled}
