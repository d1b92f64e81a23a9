"""docs/supply-chain.md has the figures of tests/results/compile_times.json."""
import json

from support import ROOT

EARLIER, LATER = "quick, for 12.0", "quick, one CPU backend, for 12.0"


def test_the_table_of_what_is_compiled_is_the_records():
    builds = json.loads((ROOT / "tests" / "results" / "compile_times.json").read_text(encoding="utf-8"))["builds"]
    page = (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8")
    rows = {"flash attention (empty files)": ["flash attention"], "matrix kernels": ["matrix kernels"], "CUDA's other kernels": ["other kernels"],
            "CPU variants": ["CPU variants"], "architectures of models": ["architectures of models"], "the server": ["server"],
            "the rest, and linking": ["the rest", "linking"], "all": ["all"]}
    for title, names in rows.items():
        cells = [value for build in (EARLIER, LATER) for value in (
            sum(builds[build]["groups"][name]["files"] for name in names), sum(builds[build]["groups"][name]["cpu"] for name in names))]
        assert "| %s | %d | %.0f | %d | %.0f |\n" % (title, *cells) in page
    later, calculated = builds[LATER], builds[EARLIER]["calculated"]
    assert "Of the {:,.0f} s of the later one of the two processes had nothing to do for {:.0f}".format(later["seconds"], later["idle"]) in page
    assert "takes two cores {2:,.0f} s, four {4:,.0f}, eight {8:,.0f} and sixteen {16:,.0f}".format(
        *(calculated.get(str(cores)) for cores in range(17))) in page
