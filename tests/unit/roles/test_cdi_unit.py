"""What the unit that writes the CDI specification does, in its order."""
from support import ROOT

UNIT = (ROOT / "roles" / "host_driver" / "files" / "protocol-omni-cdi.service").read_text(encoding="utf-8")


def test_device_files_then_their_links_then_the_specification():
    """runc tells systemd of a device by /dev/char/MAJOR:MINOR alone; what has no such link is taken from containers at the next daemon-reload."""
    commands = [line.split("=", 1)[1].lstrip("-") for line in UNIT.splitlines() if line.startswith("Exec")]
    assert [command.split()[1:3] for command in commands] == [["system", "create-device-nodes"], ["system", "create-dev-char-symlinks"], ["cdi", "generate"]]
    assert "--create-all" in commands[1].split()


def test_a_specification_is_written_where_no_link_can_be_made():
    assert [line.startswith("ExecStartPre=-") for line in UNIT.splitlines() if line.startswith("ExecStartPre")] == [False, True]
