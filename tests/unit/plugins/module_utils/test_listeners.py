"""Who listens, by what ss of iproute2 6 prints."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils import listeners

SS = """\
udp   UNCONN 0      0         127.0.0.53%lo:53         0.0.0.0:*    users:(("systemd-resolve",pid=310,fd=16))
tcp   LISTEN 0      4096          127.0.0.1:9090       0.0.0.0:*    users:(("prometheus",pid=5120,fd=7))
tcp   LISTEN 0      511           127.0.0.1:9180       0.0.0.0:*    users:(("nginx",pid=41,fd=6),("nginx",pid=40,fd=6))
tcp   LISTEN 0      4096                  *:9100             *:*    users:(("prometheus-node",pid=5121,fd=3))
tcp   LISTEN 0      128                [::]:22            [::]:*
"""


def test_addresses_programs_and_their_processes_are_read_of_all_sockets():
    assert [(one["protocol"], one["address"], one["programs"], one["pids"]) for one in listeners.parsed(SS)] == [
        ("udp", "127.0.0.53%lo:53", ["systemd-resolve"], [310]), ("tcp", "127.0.0.1:9090", ["prometheus"], [5120]),
        ("tcp", "127.0.0.1:9180", ["nginx", "nginx"], [41, 40]), ("tcp", "*:9100", ["prometheus-node"], [5121]), ("tcp", "[::]:22", [], [])]


def test_what_is_no_socket_is_none():
    assert listeners.parsed("") == listeners.parsed("Error: an inet prefix is expected rather than x.\n") == []
