"""In which order hosts take their turns in a rolling change."""
from ansible_collections.protocol_omni.bunker.plugins.filter.rolling_turns import rolling_turns

ALL = ["a", "b", "c", "d", "e"]


def test_who_was_held_back_comes_first_and_who_has_the_address_last():
    assert rolling_turns({"all": ALL, "bunker_next": ["d", "b"], "bunker_held": ["e"], "bunker_last": ["a", "c"]}) == ["e", "b", "d", "a", "c"]


def test_a_group_that_nobody_is_in_is_not_there():
    assert rolling_turns({"all": ALL, "bunker_next": ["c", "a"]}) == ["a", "c"] and rolling_turns({"all": ALL}) == []
