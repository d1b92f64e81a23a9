"""When a service is restarted after an error that its card contained, and when not."""
import sys

import pytest
from test_vram_watcher import PROGRAMS


@pytest.mark.parametrize("code, said, told_of", [(0, "", ""), (1, "Access denied", "Access denied"), (4, "", "systemctl ended with status 4")])
def test_systemd_restarts_what_runs_and_starts_nothing_that_somebody_stops(tmp_path, monkeypatch, code, said, told_of):
    """try-restart: a unit that is stopped, or that is being stopped, stays so (systemctl(1))."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "service", raising=False)
    import service
    (tmp_path / "systemctl").write_text('#!/bin/sh\necho "$*" > %s/words\necho "%s" >&2\nexit %d\n' % (tmp_path, said, code), encoding="ascii")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    assert service.restart("protocol-omni-oracle.service") == told_of
    assert (tmp_path / "words").read_text(encoding="ascii") == "--no-block try-restart protocol-omni-oracle.service\n"
