"""What a disk that becomes full leaves of what roles write on a host themselves. Of what modules write, their own tests tell."""
import json
import subprocess
import sys

import pytest
import rendering

from ansible_collections.protocol_omni.bunker.plugins.module_utils import small_file

UNIT = "[Unit]\n" + "# a long one\n" * 500


def keep(folder):
    """Runs the program that keeps what answered last: its exit status and errors."""
    program = rendering.task("inference_service", "tasks/settle.yml", "Keep it as what is proven")["vars"]["_keep"]
    return subprocess.run([sys.executable, "-B", "-c", program, str(folder / "unit"), str(folder / "resolved"), str(folder / "rungs"), "scribe",
                           str(folder / "scribe.proven")], capture_output=True, text=True, check=False)


@pytest.fixture(name="folder")
def _folder(tmp_path):
    (tmp_path / "unit").write_text(UNIT, encoding="utf-8")
    (tmp_path / "resolved").write_text("{}", encoding="utf-8")
    (tmp_path / "rungs").write_text('{"rungs": {"scribe": {"rung": 1}}}', encoding="utf-8")
    return tmp_path


def test_what_to_go_back_to_is_the_earlier_one_or_the_new_one_and_never_a_part(folder, no_room):
    (folder / "scribe.proven").write_text('{"unit": "earlier"}', encoding="utf-8")
    with no_room(1000):
        done = keep(folder)
    assert done.returncode != 0 and "File too large" in done.stderr
    assert json.loads((folder / "scribe.proven").read_text(encoding="utf-8")) == {"unit": "earlier"}
    assert keep(folder).returncode == 0  # there is room again
    assert json.loads((folder / "scribe.proven").read_text(encoding="utf-8")) == {"unit": UNIT, "resolved": "{}", "rung": {"rung": 1}}


def test_a_record_is_the_earlier_one_or_the_new_one_and_never_a_part(tmp_path, no_room):
    path = str(tmp_path / "state.json")
    small_file.write_record(path, {"measured": 1})
    with no_room(1000), pytest.raises(OSError, match="File too large"):
        small_file.write_record(path, {"measured": list(range(5000))})
    assert small_file.record(path) == {"measured": 1}
