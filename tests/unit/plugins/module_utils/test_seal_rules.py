"""The text of the seal's rules: what each inventory lets pass. That the kernel enforces it is the integration tests' to show."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import seal_rules

NETWORKS = [
    {"name": "omni-network", "subnet": "172.30.0.0/16", "bridge": "br-omni", "internal": False},
    {"name": "internal_brain", "subnet": "172.31.0.0/16", "bridge": "br-brain", "internal": True},
]
ORACLE = {"name": "oracle", "sealed": True, "networks": [
    {"name": "omni-network", "address": "172.30.0.10"}, {"name": "internal_brain", "address": "172.31.0.10"}]}
TOOL = {"name": "tool-box", "sealed": False, "networks": [{"name": "omni-network", "address": "172.30.0.30"}]}
ALLOWANCE = {"from": "oracle", "to": "172.30.0.20", "protocol": "tcp", "port": 8002}


def files(services=(ORACLE, TOOL), allowances=()):
    return seal_rules.rules(NETWORKS, list(services), list(allowances))["files"]


def test_the_hardware_address_is_the_engines_scheme_of_old():
    # 172.30.0.10 is ac.1e.00.0a
    assert seal_rules.hardware_address("172.30.0.10") == "02:42:ac:1e:00:0a"


def test_a_sealed_service_is_known_by_both_its_addresses_on_each_network():
    owned = files()["owned.nft"]
    for match in ("ether saddr 02:42:ac:1e:00:0a", "ip saddr 172.30.0.10", "ether saddr 02:42:ac:1f:00:0a", "ip saddr 172.31.0.10"):
        assert match + " goto service_oracle" in owned


def test_an_unsealed_service_is_not_mentioned():
    assert "172.30.0.30" not in "".join(files().values())
    assert "inside-tool-box.nft" not in files()


def test_an_internal_network_is_sealed_without_any_service():
    assert 'iifname "br-brain" goto network_1' in files(services=[])["standing.nft"]
    assert 'iifname "br-omni"' not in files(services=[])["standing.nft"]


def test_both_tables_say_the_same_and_one_has_an_owner():
    owned, standing = files()["owned.nft"], files()["standing.nft"]
    assert "flags owner" in owned and "flags owner" not in standing
    assert owned.replace("\tflags owner\n", "").replace("bunker_seal", "bunker_seal_standing") == standing


def test_a_chain_of_a_service_ends_with_a_drop():
    lines = [line.strip() for line in files()["owned.nft"].splitlines()]
    begun = lines.index("chain service_oracle {")
    assert lines[lines.index("}", begun) - 1] == "counter drop"
    inside = [line.strip() for line in files()["inside-oracle.nft"].splitlines()]
    assert inside[inside.index("}") - 1] == "counter drop"


@pytest.mark.parametrize("number, address", [(1, "172.30.0.10"), (2, "172.31.0.10")])
def test_to_the_host_a_service_sends_its_own_arp_and_ipv4_and_no_other_frames(number, address):
    for name in ("owned.nft", "standing.nft"):
        lines = [line.strip() for line in files()[name].partition("table bridge")[2].splitlines()]
        begun = lines.index("chain endpoint_%d_to_host {" % number)
        assert lines[begun + 1:lines.index("}", begun)] == [
            "ether type arp arp saddr ip %s accept" % address, "ether type != ip goto refuse", "ip saddr != %s goto refuse" % address]


def test_an_allowance_opens_its_destination_in_every_layer():
    texts = files(allowances=[ALLOWANCE])
    for name in ("owned.nft", "standing.nft", "inside-oracle.nft"):
        inet, _separator, bridge = texts[name].partition("table bridge")
        assert "ip daddr 172.30.0.20 tcp dport 8002 accept" in inet
        assert name == "inside-oracle.nft" or "ip daddr 172.30.0.20 tcp dport 8002 accept" in bridge
    assert "tcp dport 8002" not in "".join(files().values())


def test_an_allowance_of_another_opens_nothing_for_a_service():
    texts = files(services=[ORACLE, dict(TOOL, sealed=True)], allowances=[dict(ALLOWANCE, **{"from": "tool-box"})])
    assert "8002" in texts["inside-tool-box.nft"] and "8002" not in texts["inside-oracle.nft"]


@pytest.mark.parametrize("changed", [{"services": [TOOL]}, {"allowances": [ALLOWANCE]}])
def test_the_digest_tells_other_rules_apart(changed):
    values = {"services": [ORACLE, TOOL], "allowances": [], **changed}
    digest = seal_rules.rules(NETWORKS, [ORACLE, TOOL], [])["digest"]
    assert seal_rules.rules(NETWORKS, [ORACLE, TOOL], [])["digest"] == digest
    assert seal_rules.rules(NETWORKS, **values)["digest"] != digest
