"""The molecule scenarios of roles that can be proven alone."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

HOSTS_OF_OTHER_TESTS = {"air_gap", "default", "faults", "image", "interruptions", "root_disk"}
SCENARIOS = sorted({path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")} - HOSTS_OF_OTHER_TESTS)


def test_there_are_scenarios():
    assert SCENARIOS == ["container_engine", "disk_layout", "engine_data", "gateway", "host_driver", "model_store", "networks", "preflight"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario):
    result = subprocess.run(["molecule", "test", "-s", scenario], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
