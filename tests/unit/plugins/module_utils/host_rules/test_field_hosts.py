"""Hosts as the field shows them: each with the whole list of what is found before anything changes, from the texts of its tools and files."""
import pytest
from support import field_hosts

HOSTS = field_hosts.hosts()


@pytest.mark.parametrize("name", HOSTS)
def test_host(name):
    host = HOSTS[name]
    found, expected = field_hosts.found(host), field_hosts.expected(host)
    assert [kind for kind, _text in found] == [kind for kind, _text in expected], found
    for (_kind, text), (_same, part) in zip(found, expected):
        assert part in text
    if "headers" in host:
        assert field_hosts.headers(host) == host["headers"]


def test_there_are_at_least_sixty_hosts():
    assert len(HOSTS) >= 60


def test_the_reference_host_is_sound():
    (host,) = field_hosts.of_text("same: {}").values()
    read = field_hosts.survey(host)
    assert field_hosts.found(host) == [] and [card["uuid"] for card in read["gpus"]] == ["GPU-96", "GPU-32"]
    assert read["cpu"]["cores"] == 96 and read["memory"]["total"] == 384 << 30 and read["kernel"]["nvidia_open"] is True and read["fabric"]["active"] is False
    assert read["routes"] == [{"destination": one, "device": "eno1", "table": None} for one in ("192.168.1.0/24", "fe80::/64")]
    assert read["places"]["/nvme/models"] == "/nvme/models" and read["engine"] == "28.2.2" and read["toolkit"] == "1.17.8"
