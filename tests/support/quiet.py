"""Tests marked ``quiet`` measure speed or time: no other worker's test runs meanwhile.

Every test holds a lock while it runs: shared, or where it is marked alone. A second lock, the turnstile, is passed before the first one is asked for, or the
stream of shared holders would keep a quiet test waiting for ever.
"""
import contextlib
import fcntl
import os

import pytest
from support.hosts import CACHE


@contextlib.contextmanager
def _held(name, kind):
    with open(CACHE / name, "w", encoding="ascii") as lock:
        fcntl.flock(lock, kind)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        return (yield)
    with contextlib.ExitStack() as stack:
        with _held("turnstile.lock", fcntl.LOCK_EX):
            stack.enter_context(_held("quiet.lock", fcntl.LOCK_EX if item.get_closest_marker("quiet") else fcntl.LOCK_SH))
        return (yield)
