"""What a service's unit asks before it starts on GPUs, by its own commands and a stand-in for nvidia-smi: there is no card here."""
import re
import shlex
import subprocess

import pytest
from rendered_units import text_of
from unit_of_service import TEMPLATE, gpu_checks

FIRST, SECOND = "GPU-9d8a4f54-0000-0000-0000-000000000096", "GPU-1b3c5d7e-0000-0000-0000-000000000032"
# In the form of nvidia-smi -L, with a part of a card.
LISTED = {FIRST: "GPU %%d: NVIDIA RTX PRO 6000 Blackwell (UUID: %s)" % FIRST, SECOND: "GPU %%d: NVIDIA GeForce RTX 5090 (UUID: %s)" % SECOND,
          "MIG-4a5b": "  MIG 1g.24gb     Device  %d: (UUID: MIG-4a5b)"}


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """Asks as the unit of a service on these GPUs would, of a driver that shows others; returns (whether it starts, what it says)."""
    (tmp_path / "nvidia-smi").write_text('#!/bin/sh\n[ "$*" = -L ] && cat %s/listed\n' % tmp_path, encoding="ascii")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)

    def ask(gpus, shown):
        (tmp_path / "listed").write_text("".join(LISTED[uuid] % place + "\n" for place, uuid in enumerate(shown)), encoding="ascii")
        for command in gpu_checks(gpus):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return False, done.stdout
        return True, ""
    return ask


@pytest.mark.parametrize("gpus, shown", [([FIRST, SECOND], [FIRST, SECOND]), ([FIRST, SECOND], [SECOND, FIRST]), ([SECOND], [FIRST, SECOND]),
                                         (["MIG-4a5b"], [FIRST, "MIG-4a5b"])], ids=["as listed", "indices swapped", "one of two", "a part of a card"])
def test_it_starts_where_its_cards_are_whatever_their_index(starts, gpus, shown):
    assert starts(gpus, shown) == (True, "")


@pytest.mark.parametrize("shown", [[FIRST], []], ids=["one is left", "the driver shows none"])
def test_a_missing_card_is_named_and_what_to_do(starts, shown):
    good, said = starts([FIRST, SECOND], shown)
    assert not good
    missing = SECOND if shown else FIRST
    assert "oracle does not start: the driver shows no %s." % missing in said and "take it out of gpus and run site.yml" in said


def test_a_driver_that_hangs_is_told_from_a_card_that_is_missing(starts, tmp_path):
    (tmp_path / "timeout").write_text("#!/bin/sh\nexit 124\n", encoding="ascii")  # as it ends after its half minute
    (tmp_path / "timeout").chmod(0o755)
    good, said = starts([FIRST], [FIRST])
    assert not good and "oracle does not start: nvidia-smi has not answered within 30 s." in said and "shows no" not in said


def test_what_the_driver_says_instead_is_told(starts, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho Failed to initialize NVML: Driver/library version mismatch\nexit 18\n", encoding="ascii")
    good, said = starts([FIRST], [FIRST])
    assert not good and "shows no %s" % FIRST in said and "Failed to initialize NVML: Driver/library version mismatch" in said


def test_a_name_that_is_the_beginning_of_another_is_none(starts):
    assert not starts([FIRST[:-2]], [FIRST])[0]


@pytest.mark.parametrize("sealed", [True, False])
def test_the_container_is_started_with_its_words_as_they_are(sealed):
    given = ["--name", "oracle", "an image"], ["--alias", 'a "quoted" $word of 100%', "--port", "8000"]
    text = text_of(TEMPLATE, {"_inference_service_resolved": dict(zip(("container_arguments", "server_arguments"), given)),
                              "_inference_service_spec": {"model": "a-model", "sealed": sealed, "gpus": []}})
    (command,) = re.findall(r"^ExecStart=(.*?)(?<!\\)$", text, re.MULTILINE | re.DOTALL)
    words = shlex.split(command.replace("\\\n", " ").replace("$$", "$").replace("%%", "%"))
    assert words[:3] == ["/usr/bin/docker", "run", "--label"] and words[3].endswith("=" + "0" * 16)
    assert words[4:] == given[0] + given[1]
    assert ("\nExecStartPost=" in text, "\nBindsTo=protocol-omni-seal.service\n" in text) == (sealed, sealed)


# A call of docker's client wakes an engine that somebody stopped: systemd listens on its socket.
COMMANDS = re.findall(r"^(Exec\w+)=(-?)(.*?)(?<!\\)$", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def engines(kind):
    """The unit's commands of a kind that call docker's client, as words, for a service named oracle."""
    texts = [text for found, _mark, text in COMMANDS if found == kind and "docker" in text]
    return [shlex.split(text.replace("{{ _inference_service_name }}", "oracle").replace("\\\n", " ").replace("$$", "$")) for text in texts]


@pytest.mark.parametrize("kind, count", [("ExecStartPre", 1), ("ExecStop", 2), ("ExecStopPost", 1)])
@pytest.mark.parametrize("state, called", [("active", True), ("deactivating", False), ("inactive", False)])
def test_an_engine_that_was_stopped_is_not_woken(tmp_path, monkeypatch, kind, count, state, called):
    for name, script in (("systemctl", "[ \"$*\" = 'is-active --quiet docker.service' ] && [ %s = active ]" % state), ("docker", "echo docker \"$@\""),
                         ("python3", "exit 1")):
        (tmp_path / name).write_text("#!/bin/sh\n%s\n" % script, encoding="ascii")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    found = engines(kind)
    assert len(found) == count
    for words in found:
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        assert said.startswith("docker ") == called and (said.rstrip().endswith(" oracle") or not called)


def test_the_services_come_back_with_the_engine_that_they_go_with():
    text = TEMPLATE.read_text(encoding="utf-8")
    assert re.search(r"^Requires=docker\.service$", text, re.MULTILINE) and re.search(r"^After=docker\.service ", text, re.MULTILINE)
    assert "docker.service" in re.search(r"^WantedBy=(.*)$", text, re.MULTILINE).group(1)
