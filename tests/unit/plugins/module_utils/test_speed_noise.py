"""What several measurements of a speed are worth, and who else was at work before them."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import speed_noise

# proc_stat(5): user nice system idle iowait irq softirq steal guest guest_nice, of all CPUs and of each.
BEFORE = "cpu  100 0 50 1000 10 0 0 0 0 0\ncpu0 50 0 25 500 5 0 0 0 0 0\ncpu1 50 0 25 500 5 0 0 0 0 0\nintr 1\n"
AFTER = "cpu  220 0 80 1040 20 0 0 0 0 0\ncpu0 110 0 40 520 10 0 0 0 0 0\ncpu1 110 0 40 520 10 0 0 0 0 0\nintr 2\n"
PRESSURE = "some avg10=12.50 avg60=3.00 avg300=1.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


def test_the_interval_is_students_of_95_percent():
    """2.776 · 1.5811 / √5, by the tables of the distribution for four degrees of freedom."""
    mean, half = speed_noise.interval([168.0, 169.0, 170.0, 171.0, 172.0])
    assert mean == 170.0 and half == pytest.approx(1.963, abs=0.001)
    assert speed_noise.interval([10.0, 12.0]) == (11.0, pytest.approx(12.706, abs=0.001))  # 12.706 · 1.4142 / √2


def test_one_measurement_has_no_interval():
    assert speed_noise.interval([10.9]) == (10.9, 0.0)


def test_who_else_is_at_work_is_counted_in_processors():
    assert speed_noise.at_work(BEFORE, AFTER, PRESSURE) == {"cpus": 1.5, "of": 2, "pressure": 12.5}  # 150 of 200 ticks, two processors


def test_a_kernel_without_pressure_and_readings_of_one_moment_tell_nothing():
    assert speed_noise.at_work(BEFORE, BEFORE, "") == {"cpus": 0.0, "of": 2, "pressure": 0.0}
    assert speed_noise.at_work("", "", "") == {"cpus": 0.0, "of": 0, "pressure": 0.0}


@pytest.mark.parametrize("others, threads, said", [
    ({"cpus": 0.1, "of": 2, "pressure": 0.0}, 2, ""), ({"cpus": 1.5, "of": 2, "pressure": 0.0}, 2, "others use 1.5 of 2 CPUs, this service 2"),
    ({"cpus": 60.0, "of": 192, "pressure": 0.4}, 96, ""), ({"cpus": 0.0, "of": 4, "pressure": 35.0}, 2, "processes waited for a CPU in 35 % of the last 10 s"),
    ({"cpus": 3.0, "of": 4, "pressure": 0.0}, 0, ""), (None, 8, "")],
    ids=["quiet", "busy", "room for both", "under pressure", "on GPUs", "not looked at"])
def test_a_host_that_is_at_work_is_told(others, threads, said):
    assert speed_noise.crowded(others, threads) == said
