"""docs/supply-chain.md has the figures of tests/results/compile_times.json."""
import json

from support import ROOT


def test_the_table_of_what_is_compiled_is_the_records():
    build = json.loads((ROOT / "tests" / "results" / "compile_times.json").read_text(encoding="utf-8"))["builds"]["quick, for 12.0"]
    page, groups = (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8"), build["groups"]
    rest = [groups[name] for name in ("the rest", "linking")]
    rows = {"flash attention (empty files)": groups["flash attention"], "matrix kernels": groups["matrix kernels"],
            "CUDA's other kernels": groups["other kernels"], "CPU variants": groups["CPU variants"],
            "architectures of models": groups["architectures of models"], "the server": groups["server"], "all": groups["all"],
            "the rest, and linking": {key: sum(one[key] for one in rest) for key in ("files", "cpu")}}
    for name, group in rows.items():
        assert "| %s | %d | %.0f |\n" % (name, group["files"], group["cpu"]) in page
    assert "Of its {:,.0f} s one of the two processes had nothing to do for {:.0f}.".format(build["seconds"], build["idle"]) in page
    assert "two cores take {2:,.0f} s, four {4:,.0f}, eight {8:,.0f} and sixteen {16:,.0f}".format(
        *(build["calculated"].get(str(cores)) for cores in range(17))) in page
