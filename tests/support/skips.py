"""A test may be skipped only where a machine lacks what cannot be installed on it, and says so: ``lacks(what)``. Any other skip counts as a failure."""
import pytest

WORD = "this machine lacks "


def lacks(what):
    """Skips the test that runs: what it needs cannot be had on this machine, so nothing was tested of it."""
    pytest.skip(WORD + what)


def excused(report):
    """Whether a skipped report says what the machine lacks.

    :param report: pytest.TestReport with outcome "skipped".
    """
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return WORD in reason


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not excused(report):
        report.outcome = "failed"
        report.longrepr = "This test was skipped, which hides a hole: %s. Only support.skips.lacks may skip." % (report.longrepr,)
    return report
