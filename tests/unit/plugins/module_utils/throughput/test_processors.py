"""What a service gets of processors as people have them, before anything was measured."""
import os
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import reading, rule, topology

sys.path.insert(0, os.path.dirname(__file__))
from processors import TEXTS  # noqa: E402

ALONE, PAIR = ["oracle"], ["oracle", "executor"]
# (processor, what usable() is told, physical cores, nodes' sizes, number of CCDs, one service's threads and CPUs, each of two services')
CASES = [
    ("two EPYC 9654", {}, 192, [96] * 2, 24, (192, ""), [(96, "0-95"), (96, "96-191")]),
    ("two EPYC 9654, NPS4", {}, 192, [24] * 8, 24, (192, ""), [(96, "0-95"), (96, "96-191")]),
    ("Threadripper 9995WX", {}, 96, [96], 12, (96, ""), [(48, "0-47"), (48, "48-95")]),
    ("Threadripper 9995WX, SMT switched off", {}, 96, [96], 12, (96, ""), [(48, "0-47"), (48, "48-95")]),
    ("Threadripper 9995WX, a CCD switched off", {}, 88, [88], 11, (88, ""), [(48, "8-55"), (40, "56-95")]),
    ("Ryzen 9950X3D", {}, 16, [16], 2, (16, ""), [(8, "0-7"), (8, "8-15")]),
    ("i9-14900K", {"performance": range(16)}, 8, [8], 1, (8, "0,2,4,6,8,10,12,14"), [(4, "0,2,4,6"), (4, "8,10,12,14")]),
    ("i9-14900K", {}, 24, [24], 1, (24, ""), [(12, "0,2,4,6,8,10,12,14,16-19"), (12, "20-31")]),  # a kernel that tells no kinds apart
    ("i9-14900K", {"performance": range(16), "allowed": range(16, 32)}, 16, [16], 1, (16, ""), [(8, "16-23"), (8, "24-31")]),  # only slow ones are left
    ("Core Ultra 9 285K", {"performance": range(8)}, 8, [8], 1, (8, "0-7"), [(4, "0-3"), (4, "4-7")]),
    ("two Xeon 8480+, SNC4", {}, 112, [14] * 8, 8, (112, ""), [(56, "0-55"), (56, "56-111")]),
    ("a virtual machine with a thread a core", {}, 16, [16], 16, (16, ""), [(8, "0-7"), (8, "8-15")]),
    ("a virtual machine whose cores are told", {}, 8, [8], 1, (8, ""), [(4, "0,2,4,6"), (4, "8,10,12,14")]),
    ("every second CPU is off", {}, 8, [8], 1, (8, ""), [(4, "0,2,4,6"), (4, "8,10,12,14")]),
    ("Ampere Altra", {}, 128, [128], 1, (128, ""), [(64, "0-63"), (64, "64-127")]),
    ("a node without CPUs before it", {}, 8, [8], 1, (8, ""), [(4, "0-3"), (4, "4-7")]),
    ("one CPU", {}, 1, [1], 1, (1, ""), [(1, ""), (1, "")]),
    ("numbers as texts, by an older lscpu", {}, 8, [8], 1, (8, ""), [(4, "0-3"), (4, "4-7")]),
    # containers
    ("two EPYC 9654", {"quota": 2.5}, 2, [2], 1, (2, ""), [(2, ""), (2, "")]),
    ("two EPYC 9654", {"quota": 0.5}, 1, [1], 1, (1, ""), [(1, ""), (1, "")]),
    ("two EPYC 9654", {"quota": 500}, 192, [96] * 2, 24, (192, ""), [(96, "0-95"), (96, "96-191")]),
    ("two EPYC 9654", {"quota": 16}, 16, [16], 2, (16, ""), [(8, "0-7"), (8, "8-15")]),
    ("two EPYC 9654", {"allowed": [*range(8, 16), *range(200, 208)]}, 8, [8], 1, (8, ""), [(4, "8-11"), (4, "12-15")]),
    ("two EPYC 9654", {"allowed": range(200, 208), "quota": 4}, 4, [4], 1, (4, ""), [(4, ""), (4, "")]),  # siblings alone: each is a core of its own
    ("two EPYC 9654", {"allowed": [5000]}, 192, [96] * 2, 24, (192, ""), [(96, "0-95"), (96, "96-191")]),  # of another host: not believed
    ("i9-14900K", {"performance": range(16), "quota": 4}, 4, [4], 1, (4, "0,2,4,6"), [(4, "0,2,4,6"), (4, "0,2,4,6")]),
]


@pytest.mark.parametrize("name, told, cores, nodes, ccds, alone, pair", CASES, ids=["%s %s" % (case[0], " ".join(case[1])) for case in CASES])
def test_threads_are_one_a_core_that_may_be_used(name, told, cores, nodes, ccds, alone, pair):
    cpus = topology.usable(topology.parse(TEXTS[name]), **told)
    assert len(topology.physical(cpus)) == cores
    assert ([len(node) for node in topology.nodes(cpus)], len(topology.ccds(cpus))) == (nodes, ccds)
    found = [rule.settings(cpus, names, service) for names in (ALONE, PAIR) for service in names]
    assert [(one["threads"], one["cpuset"]) for one in found] == [alone, *pair]
    for one in found:  # nobody is bound to a CPU that may not be used
        assert set(topology.expanded(one["cpuset"] or "0")) <= {cpu["cpu"] for cpu in cpus} | {0}


def test_there_are_at_least_twelve_processors_and_each_is_used():
    assert len(TEXTS) >= 12 and {case[0] for case in CASES} == set(TEXTS)


def test_the_rule_says_why_some_cores_have_no_thread():
    cpus = topology.usable(topology.parse(TEXTS["i9-14900K"]), performance=range(16))
    assert rule.settings(cpus, ALONE, "oracle")["sentence"] == "one thread a performance core: 8, and none on the 16 efficiency cores"


@pytest.mark.parametrize("allowed, threads, cpuset", [
    (range(14, 32), 17, ""), (range(16, 32), 16, ""), ([14, 15, 16, 17, 18, 19], 1, "14"), (range(8, 32), 4, "8,10,12,14")],
    ids=["one fast core and sixteen slow ones", "slow ones alone", "one fast core and four slow ones", "four fast cores"])
def test_a_few_fast_cores_among_many_slow_ones_do_not_work_alone(allowed, threads, cpuset):
    """What a container was given of a processor with cores of two kinds."""
    cpus = topology.usable(topology.parse(TEXTS["i9-14900K"]), allowed, performance=range(16))
    found = rule.settings(cpus, ALONE, "oracle")
    assert (found["threads"], found["cpuset"]) == (threads, cpuset)


@pytest.mark.parametrize("text, numbers", [("0-15\n", list(range(16))), ("", []), ("nonsense", [])])
def test_the_kinds_of_cores_are_the_kernels(tmp_path, text, numbers):
    (tmp_path / "sys/devices/cpu_core").mkdir(parents=True)
    (tmp_path / "sys/devices/cpu_core/cpus").write_text(text, encoding="ascii")
    assert reading.performance_cores(str(tmp_path)) == numbers and reading.performance_cores(str(tmp_path / "elsewhere")) == []


def test_what_the_first_process_may_use_is_what_services_may():
    assert reading.affinity() == os.sched_getaffinity(1)
