"""Files that want to harm their reader: no crash, no hang, nothing read outside, and one bad file never hides the rest."""
import json
import os
import pathlib
import random
import stat
import struct
import subprocess
import sys
import time

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import device_code, readiness
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import MemorySource

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fuzz"))
import mutations  # noqa: E402

CONTAINER = struct.Struct("<IHHQ")


def container(size, *entries):
    return CONTAINER.pack(0xBA55ED50, 1, 16, size) + b"".join(entries)


def entry(payload, header=64):
    return struct.pack("<HHIQI4xHHI8xQ8xQ", 2, 0x101, header, payload, 0, 8, 1, 90, 0x11, 0)


def read(data, name="x.fatbin"):
    begun = time.process_time()
    code = device_code.read_device_code(MemorySource(data), name)
    assert time.process_time() - begun < 5  # in one pass it takes half a second, or 1.2 beside a compiler; in a pass for each entry minutes
    return code


def test_twenty_thousand_mutations(sample_folder):
    files, choices, reader = mutations.seeds(sample_folder), random.Random("every run the same"), mutations.Reader()
    for number in range(20000):
        data = mutations.mutate(choices.choice(files), choices)
        try:
            reader.read(data)
        except Exception as error:
            pytest.fail("mutation %d: %s: %s" % (number, type(error).__name__, error))
    reader.close()


@pytest.mark.parametrize("name", ["sass_90.o", "mixed.fatbin", "sm_90.cubin", "compute_90.ptx", "static.a"])
def test_cut_off_anywhere(name, sample_folder):
    whole = (sample_folder / name).read_bytes()
    reader = mutations.Reader()
    sizes = list(range(0, min(len(whole), 1500))) + list(range(0, len(whole), 97))
    for size in sizes:
        reader.read(whole[:size])  # whatever is wrong is an exception
    reader.close()
    assert len(sizes) > 100


def test_what_is_cut_off_keeps_what_came_before(sample_folder):
    whole = (sample_folder / "mixed.fatbin").read_bytes()
    code = read(whole[:-100])
    assert [each.kind for found in code.found for each in found.module.entries] == ["cubin", "cubin", "cubin"]
    assert "at byte 0 is cut off" in code.problems[0]


@pytest.mark.parametrize("data", [
    container(0) * 60000,  # many, and empty
    container(1 << 63, entry(0)), container((1 << 64) - 1), container(64, entry(1 << 63)), container(1 << 20, entry(0, header=0)),
    container(1 << 20, *[entry(0)] * 10000), (container(1 << 40) + b"\0" * 8) * 40000,  # each claims all that follows
    b"".join(container(1 << 30, entry(0)) for _number in range(12000)),
    b"!<arch>\n" + b"x" * 60, b"!<arch>\n" + b"name/".ljust(48) + b"9999999999`\n", b"!<arch>\n" + b"//".ljust(48) + b"-1        `\n",
    b"\x7fELF\x02\x01\x01" + b"\xff" * 57, b"\x7fELF\x02\x01\x01" + b"\0" * 57, b"\x7fELF\x01\x01\x01" + b"\xff" * 45, b"\x7fELF", b"", b"\0",
    b"\x7fELF\x02\x01\x01" + b"\0" * 33 + struct.pack("<Q", 64) + b"\0" * 10 + struct.pack("<HHH", 64, 0, 0) + b"\xff" * 64,  # 2**64 sections
], ids=lambda data: "%d-%s" % (len(data), data[:6].hex()))
def test_headers_that_lie(data):
    read(data)


def test_a_section_table_that_points_at_itself():
    """Thousands of sections that all name the same megabytes: searched once."""
    body = b"\0" * (4 << 20)
    count = 20000
    section = struct.pack("<IIQQQQIIQQ", 0, 1, 2, 0, 64, len(body), 0, 0, 0, 0)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count, 0)
    read(head + body + section * count)


@pytest.mark.parametrize("repeated, times", [(container(0), 4000000), (container(1 << 40), 1), (entry(0), 1000000)], ids=["containers", "one", "entries"])
def test_no_file_needs_much_memory(repeated, times, tmp_path):
    """Modules without end. In a process of its own, whose peak the kernel knows."""
    path = tmp_path / "endless.fatbin"
    path.write_bytes(container(64 * times) * (repeated == entry(0)) + repeated * times)
    program = ("import os, resource, sys; from cuda_readiness.byte_source import ByteSource; from cuda_readiness.device_code import read_device_code; "
               "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; code = read_device_code(ByteSource.of_file(os.open(sys.argv[1], 0))); "
               "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, code.problems)")
    done = subprocess.run([sys.executable, "-c", program, str(path)], env={"PYTHONPATH": str(mutations.ROOT / "plugins" / "module_utils")},
                          stdout=subprocess.PIPE, text=True, check=True)
    grown, problems = done.stdout.split(" ", 1)
    assert int(grown) < 100000, "%s kB" % grown
    assert "is not read" in problems or "cut off" in problems


def test_sixteen_thousand_cubins_need_no_more_memory(tmp_path, sample_folder):
    """The answer with every module is the largest that there is: 26 MB of text, which once stood in memory as a whole."""
    cubin = (sample_folder / "sm_90.cubin").read_bytes()
    for number in range(16000):
        (tmp_path / ("%d.cubin" % number)).write_bytes(cubin)
    program = ("import re, sys; from cuda_readiness.command_line import main; main(sys.argv[1:]); "
               "sys.stderr.write(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read()).group(1))")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), "--capability", "9.0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={"PYTHONPATH": str(mutations.ROOT / "plugins" / "module_utils")}, text=True, check=True)
    assert int(done.stderr) < 100000, "%s kB" % done.stderr
    assert len(json.loads(done.stdout)["files"]) == 16000


def test_a_folder_of_everything(tmp_path, sample_folder):
    """One that cannot be read, one that is cut off, pipes, devices, links in a circle and out: the verdict on the rest stands."""
    good = (sample_folder / "sass_90.o").read_bytes()
    (tmp_path / "good.o").write_bytes(good)
    (tmp_path / "cut.o").write_bytes(good[:300])
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "out").symlink_to("/")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "back").symlink_to("..")
    result = readiness.report(path=str(tmp_path), root=str(tmp_path), capabilities=[90])
    assert [entry["path"] for entry in result["files"]] == ["/good.o"]
    assert result["verdicts"]["9.0"]["verdict"] == "native"
    assert any(problem.startswith("/cut.o: ") and "at byte" in problem for problem in result["problems"])


def test_a_hundred_thousand_files(tmp_path, sample_folder):
    for number in range(100):
        (tmp_path / str(number)).mkdir()
        for other in range(1000):
            os.close(os.open(tmp_path / str(number) / str(other), os.O_CREAT | os.O_WRONLY))
    (tmp_path / "50" / "kernel.cubin").write_bytes((sample_folder / "sm_90.cubin").read_bytes())
    begun = time.monotonic()
    result = readiness.report(path=str(tmp_path), capabilities=[90])
    assert time.monotonic() - begun < 60
    assert [entry["path"] for entry in result["files"]] == [str(tmp_path / "50" / "kernel.cubin")]


def test_three_thousand_folders_in_one_another_take_as_many_steps(tmp_path, sample_folder):
    """Entered from the root each time it was the square of it: 17 seconds."""
    os.chdir(tmp_path)
    try:
        for _number in range(3000):
            os.mkdir("d")
            os.chdir("d")
        with open("kernel.cubin", "wb") as stream:
            stream.write((sample_folder / "sm_90.cubin").read_bytes())
    finally:
        os.chdir("/")
    begun = time.process_time()
    result = readiness.report(path=str(tmp_path), root=str(tmp_path), capabilities=[90])
    assert time.process_time() - begun < 3
    assert [entry["path"] for entry in result["files"]] == ["/d" * 3000 + "/kernel.cubin"]
    subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # nobody else removes it as quickly


def test_holes_are_skipped(tmp_path, sample_folder):
    """60 GB of nothing before the device code, and 60 GB behind: 139 seconds, where each byte was read."""
    container = (sample_folder / "mixed.fatbin").read_bytes()
    with open(tmp_path / "holes.fatbin", "wb") as stream:
        stream.write(container)
        stream.seek(60 << 30)
        stream.write(container)
        stream.truncate(120 << 30)
    begun = time.process_time()
    (entry,) = readiness.report(path=str(tmp_path / "holes.fatbin"), capabilities=[90])["files"]
    assert time.process_time() - begun < 3
    assert entry["counts"]["modules"] == 2
