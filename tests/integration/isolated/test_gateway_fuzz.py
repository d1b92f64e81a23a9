"""The gateway is asked nonsense by real HTTP, briefly; a million of it: tests/fuzz/gateway_http.py, which says what must hold."""
import os
import sys

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tests" / "fuzz"))
import gateway_http  # noqa: E402
import http_requests  # noqa: E402

REQUESTS, SECONDS = 5000, 40


@pytest.fixture(scope="module")
def asked(door):
    """What came of it, and a door for the next module."""
    found = gateway_http.fuzz(door, os.environ.get("BUNKER_TEST_FUZZ_SEED", "test"), REQUESTS, 2, SECONDS)
    yield found
    door.deploy().assert_ok()


def test_no_nonsense_breaks_the_gateway_or_passes_it(asked):
    assert asked["faults"] == []


def test_of_all_kinds_something_was_asked_and_answered(asked):
    assert set(asked["families"]) == {family.__name__ for family in http_requests.CALM + http_requests.WILD}
    assert {"200", "400", "401", "404", "405", "431"} <= set(asked["statuses"])
    assert asked["requests"] > 500 and asked["answers"] > asked["requests"] * 0.9
    assert sum(asked["reached services"].values()) > asked["requests"] * 0.3
