"""The repository's fuzzers that need no compiler, briefly; a million each: tests/fuzz/run.py. That of device code runs in tests/cuda."""
import json
import subprocess
import sys

import pytest
from support import ROOT


def fuzz(of, mutations, seed="unit"):
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "fuzz" / "run.py"), "--of", of, "--mutations", str(mutations), "--seed", seed],
                          cwd=ROOT / "reports" if (ROOT / "reports").is_dir() else ROOT, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.mark.parametrize("of, mutations", [("gguf_headers", 10000), ("watched_cards", 10000), ("host_answers", 2000)])
def test_mutations_end_in_nothing_but_the_readers_own_error(of, mutations):
    status, found = fuzz(of, mutations)
    assert status == 0 and found["failures"] == [] and found["mutations"] == mutations, found
