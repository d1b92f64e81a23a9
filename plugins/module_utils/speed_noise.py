# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several measurements of a speed are worth, and who else was at work before they were made. Pure functions."""
from __future__ import annotations

import re
import statistics

# Student's t for 95 %, two-sided, by degrees of freedom: tables of the distribution.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
LARGEST = 0.15  # of the mean: measurements further apart tell nothing
PRESSURE = 10.0  # percent of the last ten seconds in which some process waited for a CPU: psi(7) of the kernel's documentation
LEAST = 0.5  # of a figure: what is slower than that is not slow for others alone
SPARE = 1.1  # what others and the service may use together, of the CPUs: a host is never quite still


def interval(samples):
    """(mean, half of the interval in which it lies with 95 %) of some measurements; a half of 0.0 of one alone.

    :param samples: list of float, one to ten.
    """
    mean = statistics.fmean(samples)
    if len(samples) < 2:
        return mean, 0.0
    return mean, STUDENT[min(len(samples) - 1, max(STUDENT))] * statistics.stdev(samples) / len(samples) ** 0.5


def _ticks(text):
    """(ticks at work, all ticks) of the first line of /proc/stat."""
    match = re.match(r"cpu +([0-9 ]+)", text)
    ticks = [int(word) for word in match.group(1).split()][:8] if match else []  # guests are counted among the users
    return sum(ticks) - sum(ticks[3:5]), sum(ticks)


def at_work(before, after, pressure):
    """How much of the host's processors is in use.

    :param before: text of /proc/stat.
    :param after: the same, some time later.
    :param pressure: text of /proc/pressure/cpu, "" where the kernel has none.
    :returns: dict of ``cpus`` (float, in use on average), ``of`` (their number) and ``pressure`` (percent).
    """
    count = len(re.findall(r"^cpu[0-9]+ ", after, re.MULTILINE))
    (busy, all_ticks), (busy_before, all_before) = _ticks(after), _ticks(before)
    passed = all_ticks - all_before
    waited = re.search(r"^some avg10=([0-9.]+)", pressure, re.MULTILINE)
    return {"cpus": round(count * (busy - busy_before) / passed, 2) if passed > 0 else 0.0, "of": count, "pressure": float(waited.group(1)) if waited else 0.0}


def crowded(others, threads):
    """Why a service cannot be measured beside what else is at work, "" where it can.

    :param others: as :func:`at_work` returns it, before the service was asked; None where nobody looked.
    :param threads: that the service computes with on CPUs, 0 for one that does not.
    """
    if not others or not threads:
        return ""
    if others["of"] and others["cpus"] + threads > SPARE * others["of"]:
        return "others use %.1f of %d CPUs, this service %d" % (others["cpus"], others["of"], threads)
    if others["pressure"] > PRESSURE:
        return "processes waited for a CPU in %.0f %% of the last 10 s" % others["pressure"]
    return ""
