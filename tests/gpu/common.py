"""What the proofs on a real card share."""
import datetime
import hashlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "module_utils" / "cuda_readiness"
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "cuda")]


def package_hash(paths):
    """SHA-256 over the code that predicts."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def write(path, host, cases, code=tuple(PACKAGE.glob("*.py"))):
    """The result as JSON, and the closing line. Exit code 1 where a prediction was wrong."""
    right = sum(1 for case in cases if case["agree"])
    gpu = host["gpus"][0]
    result = {"command": " ".join(["python3"] + sys.argv[:1]), "date": datetime.date.today().isoformat(), "gpu": gpu["name"], "capability": gpu["capability"],
              "driver": host["kernel_module"], "driver_cuda": "%d.%d" % host["driver_cuda"], "code_sha256": package_hash(code),
              "right": right, "of": len(cases), "cases": cases}
    pathlib.Path(path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for case in cases:
        if not case["agree"]:
            print("WRONG", json.dumps(case))
    print("%d of %d predictions right" % (right, len(cases)))
    sys.exit(0 if right == len(cases) else 1)
