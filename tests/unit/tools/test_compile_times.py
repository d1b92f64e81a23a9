"""The table of a build, of a log that is written here as BuildKit writes what the recipe prints."""
import json
import subprocess
import sys

import pytest

from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import compile_times  # noqa: E402

FATTN = "ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/template-instances/fattn-tile-instance-dkq64-dv64.cu.o"
MMQ = "ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/template-instances/mmq-instance-q4_0.cu.o"
SERVER = "tools/server/CMakeFiles/server-context.dir/server.cpp.o"
LINKED = "bin/llama-server"
LOG = "\n".join([
    "#17 9.1 [1/4] Building CUDA object " + FATTN,
    "#17 [compile 3/4] RUN cmake --build /build;     cd /build; sed '1d; s/^/COMPILED at /' .ninja_log;     find . -exec awk '{ print \"COMPILED cpu\", $1 }'",
    "#17 70.0 COMPILED at 0\t60000\t17\t%s\ta1" % FATTN,
    "#17 70.0 COMPILED at 0\t30000\t17\t%s\ta2" % MMQ,
    "#17 70.0 COMPILED at 30000\t40000\t17\t%s\ta3" % SERVER,
    "#17 70.0 COMPILED at 60000\t61000\t17\t%s\tcd" % LINKED,
    "#17 70.0 COMPILED at 60000\t61000\t17\t%s.0\tcd" % LINKED,  # of the same step
    "#17 70.1 COMPILED cpu 0m50.500000s 0m1.000000s ./%s.times" % FATTN,
    "#17 70.1 COMPILED cpu 1m2.250000s 0m0.250000s ./%s.times" % MMQ,
    "#17 70.1 COMPILED cpu 0m0.000000s 0m0.010000s ./%s.times" % SERVER,
    "#17 70.2 COMPILED by cache_miss ./%s.ccache" % FATTN,
    "#17 70.2 COMPILED by cache_miss ./%s.ccache" % MMQ,
    "#17 70.2 COMPILED by direct_cache_hit ./%s.ccache" % SERVER,
    "#17 DONE 70.3s", ""])


def test_each_file_has_its_times_and_whether_the_cache_had_it():
    assert compile_times.compiled(LOG) == {
        FATTN: {"begin": 0, "seconds": 60, "cpu": 51.5, "by": "cache_miss"}, MMQ: {"begin": 0, "seconds": 30, "cpu": 62.5, "by": "cache_miss"},
        SERVER: {"begin": 30, "seconds": 10, "cpu": 0.01, "by": "direct_cache_hit"}, LINKED: {"begin": 60, "seconds": 1}}


def test_the_groups_add_up():
    assert compile_times.grouped(compile_times.compiled(LOG)) == {
        "flash attention": {"files": 1, "cpu": 51.5, "seconds": 60, "misses": 1}, "matrix kernels": {"files": 1, "cpu": 62.5, "seconds": 30, "misses": 1},
        "server": {"files": 1, "cpu": 0.01, "seconds": 10, "misses": 0}, "linking": {"files": 1, "cpu": 0, "seconds": 1, "misses": 0},
        "all": {"files": 4, "cpu": 114.01, "seconds": 101, "misses": 2}}


@pytest.mark.parametrize(("output", "group"), [
    ("ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/fattn.cu.o", "flash attention"), ("ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/mmvq.cu.o", "matrix kernels"),
    ("ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/softmax.cu.o", "other kernels"), ("bin/libggml-cuda.so", "linking"),
    ("ggml/src/CMakeFiles/ggml-cpu-zen4.dir/ggml-cpu/vec.cpp.o", "CPU variants"),
    ("src/CMakeFiles/llama.dir/Unity/unity_0_cxx.cxx.o", "architectures of models"),
    ("common/CMakeFiles/llama-common.dir/arg.cpp.o", "the rest")])
def test_a_file_is_of_one_group(output, group):
    assert compile_times.group_of(output) == group


def test_idle_is_what_the_jobs_that_there_were_did_not_use():
    # Two at a time for 61 s are 122 s, of which 101 were used.
    assert compile_times.used(compile_times.compiled(LOG)) == {"seconds": 61, "jobs": 2, "idle": 21}


def test_one_that_begins_when_another_ends_runs_after_it():
    assert 32.148 + 5.545 > 37.693  # as numbers with a binary point have it
    assert compile_times.used({"a": {"begin": 32.148, "seconds": 5.545}, "b": {"begin": 37.693, "seconds": 1}}) == {"seconds": 6.5, "jobs": 1, "idle": 0}


def test_more_cores_help_until_the_longest_file():
    files = compile_times.compiled(LOG)
    assert [compile_times.with_cores(files, cores) for cores in (1, 2, 16)] == [115, 62.5, 62.5]


@pytest.mark.parametrize(("change", "told"), [
    (("COMPILED at 0\t60000\t17\t", "COMPILED at 0\t60000\t"), "of five parts"),
    (("COMPILED at 0\t60000\t17\t", "COMPILED at x\t60000\t17\t"), "no line of ninja's log"),
    (("0m50.500000s", "50.5"), "not what the shell's times prints"),
    (("COMPILED by cache_miss ./" + FATTN, "COMPILED by cache_miss ./another"), "that ninja's log does not name"),
    (("COMPILED", "compiled"), "nothing was compiled")])
def test_a_log_of_another_kind_is_refused(tmp_path, monkeypatch, change, told):
    assert LOG.count(change[0])
    (tmp_path / "build.log").write_text(LOG.replace(*change), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["compile_times", str(tmp_path / "build.log")])
    with pytest.raises(SystemExit) as ended:
        compile_times.main()
    assert told in str(ended.value) and "golden-image-build.log of its host" in str(ended.value)


def test_the_record_has_a_line_a_file_and_reads_back():
    record = {"builds": {"one": {"provenance": {"commit": "ab"}, "files": compile_times.compiled(LOG)}, "two": {"jobs": 2, "files": {}}}}
    text = compile_times.written(record)
    assert json.loads(text) == record
    assert sum(FATTN in line for line in text.splitlines()) == 1 and len(text.splitlines()) < 25


def test_what_the_recipe_prints_is_read(tmp_path):
    recipe = (ROOT / "roles" / "golden_image" / "files" / "Dockerfile").read_text(encoding="utf-8")
    commands = recipe[recipe.index("cd /build; sed "):].split("\n\n")[0].split("\n# ")[0].replace("\\\n", "\n").replace("cd /build", "cd '%s'" % tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / ".ninja_log").write_text("# ninja log v6\n20\t2720\t17\tsrc/a.cpp.o\td407\n2720\t3000\t18\tbin/a\td408\n", encoding="ascii")
    (tmp_path / "src" / "a.cpp.o.times").write_text("0m0.000000s 0m0.010000s\n0m2.500000s 0m0.100000s\n", encoding="ascii")
    (tmp_path / "src" / "a.cpp.o.ccache").write_text("# /src/a.cpp\ncache_miss\ndirect_cache_miss\npreprocessed_cache_miss\n", encoding="ascii")
    printed = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], capture_output=True, text=True, check=True).stdout
    log = "".join("#17 70.0 %s\n" % line for line in printed.splitlines())  # as BuildKit has it
    assert compile_times.compiled(log) == {"src/a.cpp.o": {"begin": 0.02, "seconds": 2.7, "cpu": 2.6, "by": "cache_miss"},
                                           "bin/a": {"begin": 2.72, "seconds": 0.28}}
