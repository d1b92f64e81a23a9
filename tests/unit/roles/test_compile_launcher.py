"""The recipe's compiler launcher, with stand-ins for ccache and the compiler."""
import subprocess

import pytest
from support import ROOT

LAUNCHER = ROOT / "roles" / "golden_image" / "files" / "compile-reproducibly"
CCACHE = """#!/bin/sh
printf '%s\\n' "$@" > called
echo "${CCACHE_STATSLOG:-none}" > statslog
exec "$@"
"""
COMPILER = """#!/bin/sh
for word in "$@"; do [ "$word" != fail ] || exit 3; done
echo object > sub/x.o
"""


@pytest.fixture(name="launch")
def _launch(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, text in (("ccache", CCACHE), ("cc", COMPILER), ("nvcc", COMPILER)):
        (tmp_path / name).write_text(text, encoding="ascii")
        (tmp_path / name).chmod(0o755)

    def launch(*words):
        done = subprocess.run(["sh", str(LAUNCHER), *words], cwd=tmp_path, env={"PATH": "%s:/usr/bin:/bin" % tmp_path}, check=False)
        return done.returncode, (tmp_path / "called").read_text(encoding="ascii").splitlines()
    return launch


def test_the_seed_is_the_outputs_name(launch):
    assert launch("cc", "-c", "x.c", "-o", "sub/x.o") == (0, ["cc", "-c", "x.c", "-o", "sub/x.o", "-frandom-seed=sub/x.o"])
    assert launch("nvcc", "-o", "sub/x.o") == (0, ["nvcc", "-o", "sub/x.o", "--objdir-as-tempdir", "-frandom-seed=sub/x.o"])


def test_beside_the_output_lies_what_it_took(launch, tmp_path):
    launch("cc", "-o", "sub/x.o")
    lines = (tmp_path / "sub" / "x.o.times").read_text(encoding="ascii").splitlines()
    assert len(lines) == 2 and all(line.count("s") == 2 and "m0." in line for line in lines)  # of the shell; of what it ran
    assert (tmp_path / "statslog").read_text(encoding="ascii") == "sub/x.o.ccache\n"


def test_a_compiler_that_fails_ends_the_build_as_it_did(launch, tmp_path):
    assert launch("cc", "fail", "-o", "sub/x.o")[0] == 3
    assert not (tmp_path / "sub" / "x.o.times").exists()


def test_without_an_output_nothing_is_left(launch, tmp_path):
    launch("cc", "--version")
    assert (tmp_path / "statslog").read_text(encoding="ascii") == "none\n"
    assert {path.name for path in tmp_path.rglob("*")} == {"sub", "ccache", "cc", "nvcc", "called", "statslog", "x.o"}
