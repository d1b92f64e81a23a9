"""Whose keys the gateway knows, and until when."""
import datetime

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gateway_keys


def test_times_are_utc():
    expected = int(datetime.datetime(2026, 12, 31, 18, 0, 0, tzinfo=datetime.timezone.utc).timestamp())
    assert gateway_keys.seconds("2026-12-31T18:00:00Z") == expected


@pytest.mark.parametrize("text", ["", "2026-12-31", "2026-12-31T18:00:00", "2026-12-31T18:00:00+01:00", "2026-13-01T00:00:00Z", "1798740000"])
def test_what_is_no_time_is_refused_and_repeated(text):
    with pytest.raises(ValueError, match="is no time as") as caught:
        gateway_keys.seconds(text)
    assert str(caught.value).startswith(text + " ")


def test_old_and_new_keys_hold_and_only_the_old_ones_end():
    holders = [{"name": "alice", "sha256": "a2", "previous_sha256": "a1", "previous_until": "1970-01-01T00:01:40Z"},
               {"name": "bob", "sha256": "b1", "previous_sha256": "", "previous_until": ""}, {"name": "carol", "sha256": "c1"}]
    assert gateway_keys.loaded(holders, {"o2": 0, "o1": 77}) == {
        "keys": {"o2": "operator", "o1": "operator", "a2": "alice", "a1": "alice", "b1": "bob", "c1": "carol"}, "expires": {"o1": 77, "a1": 100}}
