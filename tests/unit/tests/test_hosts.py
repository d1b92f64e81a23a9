"""Two runs of the tests on one machine."""
import os

import pytest
from support import hosts


def test_a_second_run_does_not_take_the_host_of_the_first(tmp_path):
    with hosts.claimed("bunker-test-site", tmp_path):
        with pytest.raises(RuntimeError, match="process %d, has the host bunker-test-site" % os.getpid()):
            with hosts.claimed("bunker-test-site", tmp_path):
                pass
        with hosts.claimed("bunker-test-other", tmp_path):
            pass
    with hosts.claimed("bunker-test-site", tmp_path):  # and after the first has ended
        pass
