"""An engine that somebody stopped stays down: whoever asks its socket, on which systemd listens, would start it."""
import http.client
import runpy
import socket

import pytest
from support import ROOT

SEAL, SERVICE = ROOT / "roles/networks/files/seal.py", ROOT / "roles/vram_watch/files/service.py"


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Has one of the programs look at the engine, in a state of docker.service; returns whether anybody connected to its socket."""
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "docker.sock"))
    listening.listen()
    listening.settimeout(0.2)

    def silence(_connection):
        raise OSError("it does not answer")
    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", silence)

    def look(program, state, pid_file):
        (tmp_path / "systemctl").write_text("#!/bin/sh\n[ \"$*\" = 'is-active docker.service' ] && echo %s\n" % state, encoding="ascii")
        (tmp_path / "systemctl").chmod(0o755)
        if pid_file:
            (tmp_path / "docker.pid").write_text("1", encoding="ascii")
        found = runpy.run_path(str(program))
        function = found["Engine"]().connect if program == SEAL else lambda: found["container"]("oracle")
        names = (found["Engine"].connect if program == SEAL else found["container"]).__globals__
        names.update(ENGINE_SOCKET=str(tmp_path / "docker.sock"), ENGINE_PID_FILE=str(tmp_path / "docker.pid"), TIMEOUT=20)
        answer = function()
        try:
            listening.accept()[0].close()
            return True, answer
        except TimeoutError:
            return False, answer
    with listening:
        yield look


@pytest.mark.parametrize("program, nothing", [(SEAL, None), (SERVICE, (None, 0))], ids=["the seal", "the watcher"])
@pytest.mark.parametrize("state, pid_file, connects", [("inactive", False, False), ("deactivating", True, False), ("active", True, True)],
                         ids=["stopped", "about to stop", "running"])
def test_only_an_engine_that_runs_is_asked(asked, program, nothing, state, pid_file, connects):
    assert asked(program, state, pid_file) == (connects, nothing)
