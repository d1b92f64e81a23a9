"""What the proofs on a real card share."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "cuda"), str(ROOT / "tests")]

from support import provenance  # noqa: E402


def write(path, host, cases):
    """The result as JSON, and the closing line. Exit code 1 where a prediction was wrong."""
    record = "tests/gpu/results/%s.json" % pathlib.Path(sys.argv[0]).stem
    right = sum(1 for case in cases if case["agree"])
    gpu = host["gpus"][0]
    result = {"provenance": provenance.made(record), "gpu": gpu["name"], "capability": gpu["capability"],
              "driver": host["kernel_module"], "driver_cuda": "%d.%d" % host["driver_cuda"],
              "right": right, "of": len(cases), "cases": cases}
    pathlib.Path(path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for case in cases:
        if not case["agree"]:
            print("WRONG", json.dumps(case))
    print("%d of %d predictions right" % (right, len(cases)))
    sys.exit(0 if right == len(cases) else 1)
