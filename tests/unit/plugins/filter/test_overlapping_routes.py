"""Which routes cut a network off."""
from ansible_collections.protocol_omni.bunker.plugins.filter.overlapping_routes import overlapping_routes

NETWORKS = [{"name": "internal_brain", "subnet": "172.31.0.0/16", "bridge": "br-brain"}]


def test_a_cloud_network_in_the_same_range_is_named_with_the_network():
    found = overlapping_routes(NETWORKS, [{"dst": "172.31.16.0/20", "dev": "eth0"}])
    assert found == ["network internal_brain 172.31.0.0/16 overlaps the route 172.31.16.0/20 dev eth0"]


def test_a_single_address_counts():
    assert len(overlapping_routes(NETWORKS, [{"dst": "172.31.0.7", "dev": "wg0"}])) == 1


def test_the_networks_own_bridge_the_default_route_and_others_do_not():
    assert overlapping_routes(NETWORKS, [
        {"dst": "172.31.0.0/16", "dev": "br-brain"}, {"dst": "default", "dev": "eth0"}, {"dst": "10.0.0.0/8", "dev": "eth0"}]) == []
