"""What the command ends with, by the verdicts that it prints: scripts go by it."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import command_line

HOST = {"gpus": [], "driver_cuda": None, "kernel_module": None}


@pytest.mark.parametrize("verdict, unread, status", [
    ("native", [], 0), ("jit", [], 0), (None, [], 0), ("unknown", [], 1), ("ptx_too_new", [], 1), ("none", [], 1), ("does_not_load", [], 1),
    ("native", ["/opt/a.so: empty"], 1)])
def test_it_ends_with_0_only_where_all_is_known_to_run(monkeypatch, capsys, verdict, unread, status):
    found = {"files": [{"path": "/opt/b.so", "architectures": [], "ptx": [], "verdicts": {}}], "libcuda": [], "mapped": [], "problems": [], "unread": unread,
             "verdicts": {"12.0": {"verdict": verdict, "reason": "So it is."}}}
    monkeypatch.setattr(command_line, "read_host", lambda: HOST)
    monkeypatch.setattr(command_line, "report", lambda **_given: found)
    assert command_line.main(["/opt", "--capability", "12.0"]) == status
    assert "So it is." in capsys.readouterr().out
