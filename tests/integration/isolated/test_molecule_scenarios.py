"""The molecule scenarios of roles that can be proven alone."""
import subprocess

import pytest
from support import ROOT
from support.hosts import claimed

SCENARIOS = sorted({path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")} - {"default"})
# Put to the test elsewhere: test_disk_faults.py, test_engine_data_moves.py and test_gateway.py on the same hosts, with check mode, a second run and verify.yml
# or those of the site; networks by the site and site/test_isolation.py; default, the whole site, by all of site/.
SHOWN_ELSEWHERE = {"disk_layout", "engine_data", "gateway", "networks"}
LONG = {"host_driver"}  # a quarter of an hour beside other tests


def test_there_are_scenarios():
    assert SCENARIOS == ["container_engine", "disk_layout", "engine_data", "gateway", "host_driver", "model_store", "networks", "observability",
                         "preflight"]


@pytest.mark.parametrize("scenario", [
    pytest.param(name, marks=[pytest.mark.full] if name in SHOWN_ELSEWHERE | LONG else []) for name in SCENARIOS])
def test_scenario(scenario):
    with claimed("bunker-test-" + scenario.replace("_", "-")):
        result = subprocess.run(["molecule", "test", "-s", scenario], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
