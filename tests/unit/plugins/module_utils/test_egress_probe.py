"""Frames against worked examples of others, and how attempts become rows."""
import socket
import struct
import types

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe import attempts, frames, probe
from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe.namespaces import NamespaceError


def test_the_checksum_of_rfc_1071():
    # RFC 1071, section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
    assert frames.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert frames.checksum(bytes.fromhex("0001f203f4f5f6f7") + b"\x01") == frames.checksum(bytes.fromhex("0001f203f4f5f6f70100"))


def test_an_ipv4_header_sums_to_zero_and_its_parts_are_where_rfc_791_puts_them():
    made = frames.ipv4("172.30.0.10", "198.51.100.2", frames.UDP, b"12345678", fragment=0x2000)
    assert frames.checksum(made[:20]) == 0
    assert struct.unpack("!H", made[2:4])[0] == 28 and made[9] == 17 and made[6:8] == b"\x20\x00"
    assert socket.inet_ntoa(made[12:16]) == "172.30.0.10" and socket.inet_ntoa(made[16:20]) == "198.51.100.2"


def test_the_header_of_a_textbook():
    # The example of Wikipedia's "Internet checksum": 4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7
    assert frames.checksum(bytes.fromhex("450000730000400040110000c0a80001c0a800c7")) == 0xB861


@pytest.mark.parametrize("make, protocol, source, target", [
    (lambda *ends: frames.udp(*ends, 1, 2, b"abc"), 17, "192.0.2.1", "192.0.2.2"),
    (lambda *ends: frames.tcp(*ends, 1, 2, frames.SYN, b"abc"), 6, "192.0.2.1", "192.0.2.2"),
    (lambda *ends: frames.udp(*ends, 1, 2, b"abc"), 17, "2001:db8::1", "2001:db8::2"),
])
def test_a_segment_sums_to_zero_with_its_pseudo_header(make, protocol, source, target):
    segment = make(source, target)
    assert frames.checksum(frames.packed(source) + frames.packed(target) + struct.pack("!II", len(segment), protocol) + segment) == 0


def test_a_tagged_frame():
    assert frames.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, b"x", vlan=42).hex() == "020000000001" "020000000002" "8100002a" "0800" "78"


def test_an_opening_is_a_syn_alone_to_that_address_and_port():
    def framed(flags, target="198.51.100.2", port=80):
        segment = frames.tcp("172.30.0.10", target, 4242, port, flags)
        return frames.ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", frames.IPV4, frames.ipv4("172.30.0.10", target, frames.TCP, segment))
    assert frames.is_opening(framed(frames.SYN), "198.51.100.2", 80)
    assert not frames.is_opening(framed(frames.SYN | frames.ACK), "198.51.100.2", 80)
    assert not frames.is_opening(framed(frames.SYN, port=81), "198.51.100.2", 80)
    assert not frames.is_opening(framed(frames.SYN, target="198.51.100.3"), "198.51.100.2", 80)
    assert not frames.is_opening(framed(frames.SYN)[:40], "198.51.100.2", 80)


def test_a_question_of_rfc_1035_and_its_answer():
    made = frames.dns_query("executor")
    assert made[12:] == b"\x08executor\x00\x00\x01\x00\x01"
    assert frames.dns_answer(bytes.fromhex("10928183000100000000000000")) == (3, 0)


def trial(attempt, network, heard, error=""):
    made = probe.Trial(attempt, types.SimpleNamespace(network=network))
    made.heard, made.error = heard, error
    return made


OPEN = types.SimpleNamespace(name="omni-network", internal=False, bridge="br-omni")
INTERNAL = types.SimpleNamespace(name="internal_brain", internal=True, bridge="br-brain")
WORLD = types.SimpleNamespace(outside=types.SimpleNamespace(has_metadata=True), resolvers=[], hears_itself=True)
ATTEMPT = attempts.Attempt("TCP to somewhere", "outside", True, None)
BESIDE = attempts.Attempt("TCP to a neighbour", "neighbour", True, None)
TO_HOST = attempts.Attempt("TCP to the host", "host", True, None)


def pair(attempt, network, heard, control):
    return trial(attempt, network, heard), trial(attempt, network, control)


@pytest.mark.parametrize("heard, control, observed", [(0, 1, "blocked"), (1, 1, "passed"), (1, 0, "passed"), (0, 0, "unproven")])
def test_only_what_its_control_could_is_blocked(heard, control, observed):
    row, = probe.rows_of(WORLD, [pair(ATTEMPT, OPEN, heard, control)])
    assert row["observed"] == observed and row["expected"] == "blocked"


def test_the_control_of_an_internal_network_is_the_one_of_an_open_network():
    first, second = probe.rows_of(WORLD, [pair(ATTEMPT, INTERNAL, 0, 0), pair(ATTEMPT, OPEN, 0, 2)])
    assert first["observed"] == second["observed"] == "blocked"
    assert "its control on omni-network heard 2" in first["evidence"]
    alone, = probe.rows_of(WORLD, [pair(ATTEMPT, INTERNAL, 0, 0)])
    assert alone["observed"] == "unproven"
    lent, = probe.rows_of(WORLD, [pair(ATTEMPT, INTERNAL, 0, 0)], [trial(ATTEMPT, OPEN, 1)])
    assert lent["observed"] == "blocked"


def test_towards_a_neighbour_no_control_is_lent():
    first, _second = probe.rows_of(WORLD, [pair(BESIDE, INTERNAL, 0, 0), pair(BESIDE, OPEN, 0, 1)])
    assert first["observed"] == "unproven"


def test_a_firewall_of_the_host_explains_itself_where_the_ears_are_proven():
    row, = probe.rows_of(WORLD, [pair(TO_HOST, OPEN, 0, 0)])
    assert row["observed"] == "" and "firewall" in row["does_not_apply"]
    deaf = types.SimpleNamespace(outside=WORLD.outside, resolvers=[], hears_itself=False)
    row, = probe.rows_of(deaf, [pair(TO_HOST, OPEN, 0, 0)])
    assert row["observed"] == "unproven"


def test_an_attempt_that_cannot_be_made_says_why():
    world = types.SimpleNamespace(outside=types.SimpleNamespace(has_metadata=False), resolvers=[], hears_itself=True)
    metadata = attempts.Attempt("metadata address of clouds", "outside", False, None)
    assert "169.254.169.254" in probe.does_not_apply(world, metadata, OPEN)
    assert probe.does_not_apply(world, ATTEMPT, OPEN) == ""
    made = pair(metadata, OPEN, 0, 0)
    made[0].inapplicable = "because"
    row, = probe.rows_of(world, [made])
    assert (row["observed"], row["does_not_apply"]) == ("", "because")


def test_there_are_twenty_attempts_and_each_has_a_name_of_its_own():
    assert len({attempt.name for attempt in attempts.ATTEMPTS}) == len(attempts.ATTEMPTS) >= 20
    assert {attempt.where for attempt in attempts.ATTEMPTS} == {"outside", "host", "neighbour"}


@pytest.mark.parametrize("forwarders", [[], ["192.0.2.53"], ["127.0.0.1", "192.0.2.53"]])
def test_a_resolver_that_would_forward_is_a_way_out_and_is_not_asked(monkeypatch, forwarders):
    asked = []

    def ask(_place, _world, question, _marks=()):
        asked.append(question)
        return bytes.fromhex("109281800001000100000000"), 0
    monkeypatch.setattr(probe, "ask_engine", ask)
    world = types.SimpleNamespace(container={"omni-network": None})
    own, foreign = probe.resolver_rows(world, "oracle", forwarders)
    assert own["observed"] == "answered" and len(asked) == 1
    assert foreign["observed"] == "passed" and "would forward" in foreign["evidence"]


def test_the_listeners_port_is_none_that_a_connection_may_have_already():
    """One in some thousand looks failed with "Address already in use": the kernel had given the port to a connection of the host."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as stream:
        lowest = int(stream.read().split()[0])
    assert 1024 < attempts.HOST_PORT < min(lowest, 32768)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_is_named(kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(NamespaceError, match="port %d of the host: Address already in use. Free it" % port):
            probe.World._listener(socket.AF_INET, "127.0.0.1", port, kind)
