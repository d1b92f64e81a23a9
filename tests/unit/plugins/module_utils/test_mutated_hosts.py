"""What tools and files of a host say, damaged at random: every reader ends with facts or with its own error, soon, and the judge reads what comes of it.

BUNKER_TEST_MUTATIONS=20000 tries so many of each text.
"""
import copy
import functools
import json
import os
import pathlib
import random
import sys
import time

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import host_survey, mig, small_file, volume_survey
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.finding import sentence
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.judge import judge
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import inputs

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "host_rules"), str(HERE.parents[2] / "fuzz")]
import hosts  # noqa: E402
import test_host_survey  # noqa: E402
import test_mig  # noqa: E402
from host_answers import FIXTURES, LONGEST, NETWORKS, READERS, ROUTES, SUMMARY, damaged  # noqa: E402

COUNT = int(os.environ.get("BUNKER_TEST_MUTATIONS", 150))


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_text_is_read_or_refused(name):
    text, read = READERS[name]
    choices = random.Random(name)
    read(text)
    for _number in range(COUNT):
        given = damaged(text, choices)
        began = time.process_time()
        try:
            read(given)
        except Exception as error:
            pytest.fail("%s: %r of %r" % (name, error, given[:2000]))
        assert time.process_time() - began < LONGEST, given[:2000]


def test_a_judge_of_what_was_read_of_damaged_texts_only_finds():
    """All of a host at once: whatever a reader makes of a damaged text, the rules find something or nothing, and say it in sentences."""
    choices = random.Random("judge")
    said, inventories = 0, [hosts.BOTH, hosts.CPU_ONLY, hosts.changed(hosts.BOTH, oracle__gpus=["MIG-1111-a"], executor__threads="8", executor__cpuset="0-3")]
    for _number in range(COUNT):
        host = copy.deepcopy(hosts.OMNI_PRIME)
        query, listing, xml = (damaged(text, choices) for text in (test_host_survey.TROUBLE.replace("GPU-a", "GPU-96"), test_mig.LISTING, test_mig.XML))
        cards = host_survey.join_gpus(host_survey.gpus_of_pci(test_host_survey.BUS), host_survey.gpus_of_query(query))
        host["gpus"] = [dict(card, mig=choices.choice((True, False, None)), recovery=choices.choice((None, damaged("Reset", choices)))) for card in cards]
        host["slices"] = mig.slices(listing, xml)
        host["fabric"] = {"switches": choices.choice(([], ["0000:07:00.0"])), "states": host_survey.fabric_of_query(damaged("GPU-96, Completed\n", choices)),
                          "manager": host_survey.fabric_manager_version(damaged("Fabric Manager version is : 580.95.05", choices)), "active": True}
        host["cpu"] = dict(host_survey.cpu_of_lscpu(damaged(SUMMARY, choices)), quota=choices.choice((None, 0.2, 2.5)),
                           allowed=choices.choice((None, "0-3", "x")))
        host["routes"] = host_survey.routes_of_ip(damaged(ROUTES, choices))
        host["docker_networks"] = host_survey.networks_of_inspect(damaged(NETWORKS, choices), ("omni-network", "bridge"))
        host["kernel"]["nvidia"] = choices.choice((None, "580.95.05", "unknown", ""))
        for inventory in inventories:
            try:
                found = [sentence(finding) for finding in judge(inventory, host)]
            except Exception as error:
                pytest.fail("%r of %r" % (error, host))
            assert all("; needed " in line for line in found)
            said += len(found)
    assert said >= COUNT  # most of them have something wrong


def test_damaged_control_groups_allow_something_or_nothing(tmp_path):
    choices, limits = random.Random("cgroups"), []
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/1").mkdir()
    (tmp_path / "cgroup").mkdir()
    mountinfo = "30 25 0:26 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw\n" % (tmp_path / "cgroup")
    for _number in range(COUNT):
        for path, text in (("proc/self/mountinfo", mountinfo), ("proc/1/cgroup", "0::/\n"), ("cgroup/cpu.max", "250000 100000\n")):
            (tmp_path / path).write_bytes((damaged(text, choices) if choices.random() < 0.4 else text).encode("utf-8", "surrogatepass"))
        found = inputs.cpu_quota(1, str(tmp_path / "proc"))
        limits.append(found)
    assert all(found is None or found > 0 for found in limits) and len(set(limits)) > 1


def read_noting(data, asked, offset, length):
    """Bytes of a device, and what was asked is noted."""
    asked.append((offset, length))
    return bytes(data[offset:offset + length])


def test_damaged_superblocks_are_no_whole_file_systems_and_no_traceback():
    superblocks = json.loads((FIXTURES / "volumes" / "superblocks.json").read_text(encoding="utf-8"))
    choices, sizes = random.Random("superblocks"), []
    for kind, captured in ((kind, captured) for kind, captured in superblocks.items() if isinstance(captured, dict)):
        held = bytearray(1 << 20)
        for offset, content in captured["bytes"].items():
            if int(offset) < len(held):
                held[int(offset):int(offset) + len(content) // 2] = bytes.fromhex(content)
        for _number in range(COUNT):
            data = bytearray(held[:choices.choice((100, 600, 1500, 4096, len(held)))])
            for _byte in range(choices.choice((1, 4, 100))):
                data[choices.randrange(min(len(data), 2048))] = choices.choice((0, 0xff, choices.randrange(256)))
            asked = []
            found = volume_survey.file_system(kind.split("-")[0], functools.partial(read_noting, data, asked))
            assert all(0 <= offset < 1 << 63 and length <= 1 << 20 for offset, length in asked) and set(found) == {"type", "size", "complete"}
            sizes.append(found["size"])
    assert len(sizes) == 2 * COUNT and len(set(sizes)) > 2


def test_bytes_that_are_no_text_are_seen(tmp_path):
    (tmp_path / "mountinfo").write_bytes(b"22 1 8:2 / /mnt/K\xfcche rw - ext4 /dev/sda2 rw\n")
    assert host_survey.mounts_of_mountinfo(small_file.seen(str(tmp_path / "mountinfo")))[0]["path"] == "/mnt/K\ufffdche"
