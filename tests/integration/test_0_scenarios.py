"""The molecule scenarios of roles that can be proven alone."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

HOSTS_OF_OTHER_TESTS = {"air_gap", "default", "faults", "image", "interruptions", "root_disk"}
SCENARIOS = sorted({path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")} - HOSTS_OF_OTHER_TESTS)
# Put to the test elsewhere: test_0_disk_faults.py, test_0_engine_data.py and test_0_gateway.py on the same hosts, with check mode, a second run and verify.yml
# or those of the site; networks by the site and test_2_isolation.py.
SHOWN_ELSEWHERE = {"disk_layout", "engine_data", "gateway", "networks"}


def test_there_are_scenarios():
    assert SCENARIOS == ["container_engine", "disk_layout", "engine_data", "gateway", "host_driver", "model_store", "networks", "observability",
                         "preflight"]


@pytest.mark.parametrize("scenario", [
    pytest.param(name, marks=[pytest.mark.full] if name in SHOWN_ELSEWHERE else []) for name in SCENARIOS])
def test_scenario(scenario):
    result = subprocess.run(["molecule", "test", "-s", scenario], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
