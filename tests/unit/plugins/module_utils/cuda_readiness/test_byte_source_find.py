"""A search in a part of a file: what begins before it, ends after it or lies beyond it is none of its."""
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import byte_source


def source(size, **places):
    data = bytearray(b"." * size)
    for word, place in places.items():
        data[place:place + len(word)] = word.encode()
    return byte_source.MemorySource(bytes(data))


@pytest.mark.parametrize("place, begin, end, expected", [
    (20, 10, 50, 20), (10, 10, 50, 10), (9, 10, 50, -1), (46, 10, 50, 46), (47, 10, 50, -1), (55, 10, 50, -1), (60, 10, 50, -1), (20, 20, 24, 20),
    (20, 20, 23, -1), (20, 30, 30, -1), (96, 0, 100, 96)])
def test_what_is_found_lies_wholly_within(place, begin, end, expected):
    assert source(100, wolf=place).find([b"wolf"], begin, end) == ((expected, b"wolf") if expected >= 0 else (-1, None))


@pytest.mark.parametrize("patterns, expected", [([b"wolf", b"fox"], (30, b"fox")), ([b"fox", b"wolf"], (30, b"fox")), ([b"wolf"], (40, b"wolf")),
                                                ([b"fo", b"fox"], (30, b"fo")), ([b"fox", b"fo"], (30, b"fox")), ([b"hen"], (-1, None))])
def test_the_first_place_counts_and_of_two_at_one_place_the_first_of_the_list(patterns, expected):
    assert source(100, fox=30, wolf=40).find(patterns, 0, 100) == expected


@pytest.mark.parametrize("place", [byte_source.FIRST_CHUNK + shift for shift in (-5, -4, -3, -2, -1, 0, 1)] + [3 * byte_source.FIRST_CHUNK - 2])
def test_what_lies_across_two_reads_is_found(place):
    whole = source(4 * byte_source.FIRST_CHUNK, wolf=place)
    assert whole.find([b"wolf"], 0, 4 * byte_source.FIRST_CHUNK) == (place, b"wolf")
    assert whole.find([b"wolf"], 0, place + 3) == (-1, None) and whole.find([b"wolf"], place, place + 4) == (place, b"wolf")
