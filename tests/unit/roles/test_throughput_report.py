"""The table of what was measured, from results of a host with a card, a part that failed, and figures that nobody knows."""
import re

import pytest
import rendering

SPEED, NOTHING = {"mean": 12.34, "deviation": 0.56}, {"generation": None, "prompt": None}
SETTINGS = {"placement": None, "threads": 8, "cpuset": None, "batch": 512, "micro_batch": 256, "flash_attn": "on", "kv_type": "f16", "speculation": "ngram",
            "strict": True, "numa": "isolate", "mems": None}
ON_CARDS = {**SETTINGS, "placement": "card", "cpuset": "0-3", "speculation": "", "strict": False, "numa": None}
WAYS = {"draft": {"ratio": None, "low": None, "high": None, "pairs": 3, "acceptance": None},
        "ngram": {"ratio": 1.257, "low": 1.1, "high": 1.4, "pairs": 9, "acceptance": 0.62}}
WORK = {"prompt": 64, "generate": 32, "depth": 0}
GIVEN = {
    "inventory_hostname": "a-host", "_throughput_results": {
        "result": {
            "host": {"cpu": "A CPU", "cores": 4, "threads": 8, "nodes": 1, "memory_speed": ""}, "date": "2026-01-02", "image_tag": "omni/x:1",
            "image": "sha256:" + "0123456789ab" + "c" * 52, "bandwidth": 51.26e9, "ended": "all was measured", "left_out": {"embedder": "it makes vectors"},
            "services": {
                "oracle": {"model_name": "m1", "settings": ON_CARDS, "alone": SPEED, "together": SPEED, "per_token": 2.5e6,
                           "noise": {"generation": 0.031, "prompt": 0.2}, "roofline": {"limit": 20.5, "percent": 60.2}, "speculation": {}},
                "executor": {"model_name": "m2", "settings": SETTINGS, "alone": SPEED, "together": None, "per_token": None, "noise": NOTHING,
                             "roofline": {"limit": None, "percent": None, "reason": "in a cache"}, "speculation": WAYS}}},
        "results": [
            {"kind": "alone", "stage": "threads", "service": "executor", "settings": SETTINGS, "work": WORK, "failed": "", "generation": SPEED, "prompt": SPEED,
             "busy": 0.125},
            {"kind": "together", "stage": "together", "settings": {"oracle": ON_CARDS, "executor": SETTINGS}, "work": WORK, "failed": "",
             "generation": {"oracle": SPEED, "executor": {"mean": 1, "deviation": 0}}, "tokens": {"oracle": 40, "executor": 20}},
            {"kind": "alone", "stage": "batch", "service": "oracle", "settings": ON_CARDS, "work": WORK, "failed": "it died | twice"},
            {"kind": "served", "stage": "served"}]}}
LINES = [
    "# Throughput of a-host", "A CPU, 4 cores, 8 CPUs, 1 NUMA node(s),", "memory of a speed that nobody tells;", "2026-01-02; omni/x:1 (0123456789ab).",
    "Memory bandwidth, copying: 51.3 GB/s. 4 measurements; all was measured.",
    "| executor | m2 | CPU | 8 | all | 512 | 12.3 ± 0.6 |  |  |  | in a cache |",
    "| oracle | m1 | card | 8 | 0-3 | 512 | 12.3 ± 0.6 | 12.3 ± 0.6 | 2.5 | 20.5 | 60 % |",
    "- executor: generation not known, prompt not known", "- oracle: generation 3 %, prompt 20 %",
    "- executor: micro-batch 256, flash attention on, KV cache f16", "- embedder was not measured: it makes vectors",
    "| executor | draft | no | too few answers |  | 3 | nothing drafted |", "| executor | ngram | yes | 1.26 | 1.10 to 1.40 | 9 | 62 % |",
    "| threads | executor | CPU | 8 | all | yes | isolate | 512 | 256 | on | f16 | 64 | 32 | 0 | 12.34 ± 0.56 | 12.3 ± 0.6 | 12 % |",
    "| together | executor | CPU | 8 | all | yes | isolate | 512 | 256 | on | f16 | 64 | 20 | 0 | 1.00 ± 0.00 |  |  |",
    "| together | oracle | card | 8 | 0-3 |  |  | 512 | 256 | on | f16 | 64 | 40 | 0 | 12.34 ± 0.56 |  |  |",
    "| batch | oracle | card | 8 | 0-3 |  |  | 512 | 256 | on | f16 | 64 | 32 | 0 | it died \\| twice |  |  |"]


@pytest.fixture(scope="module", name="report")
def _report():
    source = rendering.trust_as_template((rendering.ROLES / "throughput/templates/report.md.j2").read_text(encoding="utf-8"))
    text = str(rendering.templar("throughput", GIVEN).template(source, escape_backslashes=False))
    # Spaces around cells are not seen.
    return [" | ".join(cell.strip() for cell in re.split(r"(?<!\\)\|", line)).strip() for line in text.splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_the_report_says(report, line):
    assert line in report


def test_each_row_has_as_many_cells_as_its_head(report):
    heads = [number for number, line in enumerate(report) if line.startswith("| ---")]
    assert len(heads) == 3
    for head in heads:
        rows = [line.replace("\\|", "") for line in report[head:][:[*report[head:], ""].index("")]]
        assert {row.count("|") for row in rows} == {report[head - 1].count("|")}, rows
    assert sum(line.startswith("|") for line in report) == 3 * 2 + 2 + 2 + 4
