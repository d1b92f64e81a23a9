"""What tests/bench/first_token.py makes of the words of systemd and of the engine, without a host."""
import json
import sys

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import first_token  # noqa: E402

# 2026-11-30 09:00:00 UTC.
NINE = 1796029200.0
DAY = "Mon 2026-11-30 09:00:"
COMMANDS = [
    ("ExecStartPre", "/bin/sh -c 'systemctl is-active --quiet docker.service && exec docker rm --force oracle'", "00.100000", "00.300000"),
    ("ExecStartPre", "/usr/bin/test -e /etc/protocol_omni/seal/inside-oracle.nft", "00.310000", "00.320000"),
    ("ExecStartPre", "/usr/bin/python3 /usr/local/lib/protocol_omni/verified_file.py /srv/models /srv/models/seal/m.gguf ab12", "00.330000", "00.430000"),
    ("ExecStartPre", "/bin/sh -c 'seen=$(timeout 30 nvidia-smi -L 2>&1); exit 1 ; }'", "00.440000", "00.740000"),
    ("ExecStart", "/usr/bin/docker run --name oracle image --model /models/m.gguf", "00.750000", None),
    ("ExecStartPost", "/usr/bin/python3 /usr/local/lib/protocol_omni/seal.py inside /etc/protocol_omni/seal oracle", "00.760000", "01.560000")]
STARTED_AT = "2026-11-30T09:00:01.250000001Z\n"


def shown(changes=()):
    """As systemctl 257 writes it; changes: index of a command to its (begin, end)."""
    rows = []
    for number, (name, words, begin, end) in enumerate(COMMANDS):
        begin, end = dict(changes).get(number, (begin, end))
        times = tuple(DAY + at + " UTC" if at else "n/a" for at in (begin, end))
        rows.append("%s={ path=%s ; argv[]=%s ; ignore_errors=no ; start_time=[%s] ; stop_time=[%s] ; pid=7 ; code=exited ; status=0 }" % (
            name, words.split()[0], words, *times))
    return "\n".join(rows) + "\n"


def journal(*entries):
    return "".join(json.dumps({"__REALTIME_TIMESTAMP": "%d" % (at * 1e6), "MESSAGE": "…", **({"MESSAGE_ID": found} if found else {})}) + "\n"
                   for at, found in entries)


JOURNAL = journal((NINE - 9, first_token.STARTED), (NINE + 0.05, first_token.STARTING), (NINE + 1.3, ""), (NINE + 1.6, first_token.STARTED))


def phases(**changes):
    return first_token.phases(**dict({"asked": NINE, "shown": shown(), "journal": JOURNAL, "started_at": STARTED_AT, "token": NINE + 3.75}, **changes))


def test_each_phase_of_a_start_is_told_and_they_are_all_of_it():
    found = phases()
    expected = {"clearing": 0.2, "seal": 0.01, "verification": 0.1, "placement": 0.3, "docker": 0.5, "systemd": 0.14, "ours": 1.25, "llama_server": 2.5,
                "total": 3.75, "seal_beside": 0.8, "active": 1.6}
    assert found == pytest.approx(expected, abs=1e-4)
    assert sum(found[name] for name in first_token.OURS) == pytest.approx(found["ours"])


def test_a_service_without_a_card_and_without_a_seal_has_none_of_their_time():
    text = "\n".join(line for line in shown().splitlines() if "nvidia-smi" not in line and "/seal/" not in line and "ExecStartPost" not in line)
    found = phases(shown=text + "\n")
    assert (found["placement"], found["seal"]) == (0, 0) and "seal_beside" not in found and found["ours"] == pytest.approx(1.25, abs=1e-4)


def test_two_cards_are_both_counted():
    line = shown().splitlines()[3]
    found = phases(shown=shown().replace(line, line + "\n" + line))
    assert found["placement"] == pytest.approx(0.6, abs=1e-4)


@pytest.mark.parametrize("changes, said", [
    ({"asked": NINE + 0.8, "journal": journal((NINE + 1, first_token.STARTING), (NINE + 2, first_token.STARTED))}, "not of one start"),
    ({"token": NINE + 1}, "not of one start"), ({"started_at": "2026-11-30T08:59:01Z"}, "not of one start"),
    ({"shown": ""}, "began at no time"), ({"shown": shown({4: (None, None)})}, "began at no time"),
    ({"journal": journal((NINE + 1, first_token.STARTING))}, "no message of the unit's started"),
    ({"journal": journal((NINE - 9, first_token.STARTING), (NINE - 8, first_token.STARTED))}, "no message of the unit's started and starting")])
def test_times_of_another_start_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        phases(**changes)


def test_times_in_whole_seconds_are_refused():
    with pytest.raises(ValueError, match="microseconds in UTC are wanted"):
        phases(shown=shown().replace(".750000", ""))


def test_rounds_are_summed_up_by_their_median():
    rounds = [phases(token=NINE + seconds) for seconds in (3.0, 3.5, 9.0)]
    found = first_token.summed_up(rounds)
    assert found["total"]["median"] == 3.5 and found["llama_server"]["median"] == 2.25 and found["docker"] == {"median": 0.5, "interval": [0.5, 0.5]}
