"""Nothing gets out: by packets, red without the seal and green with it, whatever else happens on the host. docs/isolation.md has the table."""
import json
import subprocess
import time

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe import attempts, frames
from support import ROOT

SEAL = "protocol-omni-seal"
FOLDER = "/etc/protocol_omni/seal"


def run(site, command, stdin=""):
    """A shell command on the host that must succeed."""
    done = subprocess.run(["docker", "exec", "-i", site.host, "bash", "-eo", "pipefail", "-c", command], input=stdin, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.strip()


def isolated(site, container="oracle"):
    """Probes a container that must be isolated; returns the attempts that were made."""
    found = site.module("egress_probe", container=container)
    assert found.get("failing") == [], found.get("failing", found)
    made = [row for row in found["attempts"] if not row["does_not_apply"]]
    assert len(made) >= 25 and all(row["control_heard"] for row in made)
    return made


WAIT = """
import time, urllib.request
until, waiting = time.monotonic() + 60, ["172.30.0.10:8000", "172.30.0.20:8002"]
while waiting and time.monotonic() < until:
    try:
        urllib.request.urlopen("http://%s/health" % waiting[0], timeout=2).close()
        waiting.pop(0)
    except OSError:
        time.sleep(0.2)
raise SystemExit("silent: %s" % waiting if waiting else 0)
"""


def settled(site):
    """Waits until both services answer. What a test started and stopped is not counted as a service that dies again and again."""
    run(site, "systemctl reset-failed; systemctl start protocol-omni-oracle protocol-omni-executor; python3 -", stdin=WAIT)


@pytest.fixture(scope="module")
def firewall_kept(site, second):
    """The host's own rules come back: those of the engine around the test host resolve its names."""
    run(site, "for tool in iptables ip6tables; do $tool-save > /root/$tool.saved; done")
    return "for tool in iptables ip6tables; do $tool-restore < /root/$tool.saved; done"


@pytest.fixture
def trial(site, second, request):
    """A container as the doctrine runs its Oracle, on both networks and not sealed."""
    run(site, "docker run --detach --name trial --network name=omni-network,ip=172.30.0.99 --network name=internal_brain,ip=172.31.0.99 %s "
              "--entrypoint /bin/sh %s -c 'exec sleep 600'" % (getattr(request, "param", ""), site.image))
    yield "trial"
    run(site, "docker rm --force trial")


def passed(found):
    return {row["attempt"] for row in found["failing"]}


def test_the_doctrines_oracle_gets_out(site, trial):
    """The trial that the promise did not survive: an internal network beside an open one is no isolation."""
    found = site.module("egress_probe", container=trial)
    assert not found["isolated"]
    assert {"TCP to the outside", "UDP to the outside", "DNS by UDP to an outside resolver", "metadata address of clouds",
            "TCP to the host by the gateway address", "name of the outside through the engine's resolver"} <= passed(found)
    outside = next(row for row in found["failing"] if row["attempt"] == "TCP to the outside")
    assert outside["observed"] == "passed" and outside["heard"] > 0


@pytest.mark.parametrize("trial", ["--cap-add NET_RAW"], indirect=True)
def test_every_probe_is_red_somewhere(site, trial):
    """A container with every way open, on bridges with IPv6; its name is asked for where nobody knows it."""
    for bridge in ("br-omni", "br-brain"):
        run(site, "echo 0 > /proc/sys/net/ipv6/conf/%s/disable_ipv6" % bridge)
    run(site, "docker rename trial renamed; sleep 2")  # until the addresses of the bridges are no longer tentative
    try:
        found = site.module("egress_probe", container="renamed")
        run(site, "docker run --detach --name alone --entrypoint /bin/sh %s -c 'exec sleep 600'" % site.image)
        nameless = site.module("egress_probe", container="alone")
    finally:
        run(site, "docker rename renamed trial; docker rm --force alone")
        for bridge in ("br-omni", "br-brain"):
            run(site, "echo 1 > /proc/sys/net/ipv6/conf/%s/disable_ipv6" % bridge)
    wanted = {attempt.name for attempt in attempts.ATTEMPTS} | {
        "name of the outside through the engine's resolver", "frames of any content", "name of a container through the engine's resolver"}
    assert passed(found) | passed(nameless) == wanted


def test_the_sealed_oracle_does_not(site, second):
    made = isolated(site)
    assert {row["network"] for row in made} >= {"omni-network", "internal_brain"}
    isolated(site, "executor")


def test_it_answers_all_the_same(site, second):
    """From a neighbour and from the host; what it sends in answer passes."""
    run(site, "docker run --rm --network omni-network --entrypoint /bin/bash %s -c "
              "'exec 3<>/dev/tcp/oracle/8000; printf \"GET /health HTTP/1.0\\r\\n\\r\\n\" >&3; grep -q ok <&3'" % site.image)
    assert "ok" in run(site, "python3 -c \"import urllib.request as r; print(r.urlopen('http://172.30.0.10:8000/health').read())\"")


def allowed(**values):
    return {"networks_allowances": [dict({"from": "oracle", "to": "172.30.0.20", "port": 8002}, **values)]}


def test_what_the_inventory_lists_passes_and_nothing_else(site, second):
    """The Oracle may ask the Executor; the service goes on while the rules change."""
    before = site.engine().containers.get("oracle").attrs["State"]["StartedAt"]
    ask = ("import socket; s = socket.create_connection(('172.30.0.20', 8002), 2); s.sendall(b'GET /health HTTP/1.0\\r\\n\\r\\n'); print(s.recv(15))")
    command = "nsenter --net=/proc/%d/ns/net python3 -c \"%s\"" % (site.engine().containers.get("oracle").attrs["State"]["Pid"], ask)
    assert site.execute(command)[0] != 0
    site.run("molecule/networks/converge.yml", extra_vars=allowed()).assert_ok()
    assert "200" in run(site, command)
    isolated(site)
    site.run("molecule/networks/converge.yml").assert_ok()
    assert site.execute(command)[0] != 0
    assert site.engine().containers.get("oracle").attrs["State"]["StartedAt"] == before


HAPPENINGS = {
    "the engine restarted": "systemctl restart docker",
    "the container made anew": "systemctl restart protocol-omni-oracle",
    "the container taken off its network and put back":
        "docker network disconnect omni-network oracle && docker network connect --ip 172.30.0.10 --alias oracle omni-network oracle",
    "bridged frames not shown to iptables": "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables",
    "bridged frames shown to iptables": "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables",
    "IPv6 on": "for bridge in br-omni br-brain; do echo 0 > /proc/sys/net/ipv6/conf/$bridge/disable_ipv6; done; sleep 2",
    "IPv6 off again": "for bridge in br-omni br-brain; do echo 1 > /proc/sys/net/ipv6/conf/$bridge/disable_ipv6; done",
    "the holder of the seal killed": "kill -9 $(systemctl show --property MainPID --value %s)" % SEAL,
    "the seal loaded anew": "systemctl reload %s" % SEAL,
}


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_it_holds_after(site, second, happening):
    run(site, HAPPENINGS[happening])
    settled(site)
    isolated(site)


def test_on_a_network_that_nobody_planned_its_process_gets_nothing_out_either(site, second):
    """The table inside holds there. Whole frames would pass, had the process the capability; the claim fails and says where."""
    run(site, "docker network connect bridge oracle")
    try:
        found = site.module("egress_probe", container="oracle")
    finally:
        run(site, "docker network disconnect bridge oracle")
    by_frame = {attempt.name for attempt in attempts.BY_FRAME}
    assert found["failing"] and {row["network"] for row in found["failing"]} == {"bridge"}
    assert passed(found) <= by_frame
    assert {row["observed"] for row in found["attempts"] if row["attempt"] == "frames of any content"} == {"blocked"}
    isolated(site)


def leaks(site, command, pid=None):
    """Runs a command while packets are sent; returns how many the outside heard of each sender."""
    pid = pid or site.engine().containers.get("oracle").attrs["State"]["Pid"]
    bridge = run(site, "cat /sys/class/net/br-omni/address")
    datagram = frames.udp("172.30.0.10", "198.51.100.2", 4243, 4242, b"frame")
    frame = frames.ethernet(bridge, "02:42:ac:1e:00:0a", frames.IPV4, frames.ipv4("172.30.0.10", "198.51.100.2", frames.UDP, datagram))
    program = (ROOT / "tests" / "host" / "leak_meter.py").read_text(encoding="utf-8")
    found = json.loads(run(site, "python3 - %d %s bash -c '%s'" % (pid, frame.hex(), command), stdin=program))
    print(command, found)
    assert found["command_rc"] == 0
    assert found["heard"].get("caller", 0) > 500  # the way out was open all the time
    return {name: count for name, count in found["heard"].items() if name != "caller"}


def test_the_meter_hears_a_container_that_is_not_sealed(site, trial):
    heard = leaks(site, "true", site.engine().containers.get(trial).attrs["State"]["Pid"])
    assert heard["socket"] > 500


@pytest.mark.parametrize("command", [
    "nft flush ruleset",
    "for t in filter nat mangle raw; do iptables -t $t -F; ip6tables -t $t -F; done; iptables -P FORWARD ACCEPT",
    "nft delete table inet bunker_seal_standing; nft delete table bridge bunker_seal_standing",
    # one while the other is being put back
    "for i in $(seq 100); do nft delete table inet bunker_seal_standing; done 2> /dev/null & "
    "for i in $(seq 100); do nft delete table bridge bunker_seal_standing; done 2> /dev/null; wait",
    "kill -9 $(systemctl show --property MainPID --value protocol-omni-seal)",
    "systemctl reload protocol-omni-seal",
    "nft flush ruleset; kill -9 $(systemctl show --property MainPID --value protocol-omni-seal)",
])
def test_no_packet_passes_while_somebody_else(site, second, firewall_kept, command):
    """The aim is zero packets, and all four tables back within two seconds."""
    try:
        assert leaks(site, command) == {}
        tables = run(site, "nft list tables | grep -c bunker_seal")
        assert tables == "4"
    finally:
        if "flush" in command or "-F" in command:
            run(site, "%s; systemctl restart docker" % firewall_kept)  # its own rules
    settled(site)


@pytest.mark.quiet
def test_the_tables_are_back_within_two_seconds(site, second, firewall_kept):
    try:
        took = float(run(site, "begun=$(date +%s.%N); nft flush ruleset; for i in $(seq 200); do test $(nft list tables | grep -c bunker_seal) = 4 && break; "
                               "sleep 0.01; done; python3 -c \"print($(date +%s.%N) - $begun)\""))
        print("tables back after %.2f s" % took)
        assert took < 2
    finally:
        run(site, firewall_kept)
        run(site, "systemctl restart docker")
    settled(site)


def test_a_container_with_the_oracles_address_leaks_nothing_from_its_first_packet_on(site, second):
    """Before anything could seal it from inside: the host's tables know the address."""
    run(site, "systemctl stop protocol-omni-oracle")
    try:
        heard = leaks(site, "docker run --rm --network name=omni-network,ip=172.30.0.10,mac-address=02:42:ac:1e:00:0a --entrypoint /bin/bash %s -c "
                            "\"for i in {1..300}; do echo -n first > /dev/udp/198.51.100.2/4242; done; true\"" % site.image,
                      site.engine().containers.get("executor").attrs["State"]["Pid"])
        assert heard == {}
    finally:
        run(site, "systemctl start protocol-omni-oracle")
    settled(site)


FIREWALLS = {  # how it is enabled, made to accept more than it should, reloaded, and disabled
    "firewalld": ("systemctl start firewalld", "firewall-cmd --zone=public --add-masquerade --permanent && firewall-cmd --reload", "systemctl stop firewalld"),
    "ufw": ("ufw default allow routed && ufw --force enable", "ufw allow proto tcp from any to any port 24042 && ufw reload", "ufw disable"),
}


@pytest.mark.parametrize("name", ["firewalld", pytest.param("ufw", marks=pytest.mark.full)])
def test_it_holds_beside_another_firewall(site, second, firewall_kept, name):
    """The engine is restarted before the first look: until then firewalld lets nobody's packets through, and nothing would be proven."""
    enable, reload_, disable = FIREWALLS[name]
    run(site, "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends %s" % name)
    try:
        run(site, "%s; systemctl restart docker" % enable)
        settled(site)
        isolated(site)
        run(site, reload_)
        isolated(site)
    finally:
        run(site, disable)
        run(site, "DEBIAN_FRONTEND=noninteractive apt-get purge -q -y %s" % name)
        run(site, "nft flush ruleset; %s; systemctl restart docker" % firewall_kept)
    settled(site)


def test_rules_that_are_refused_leave_those_in_force(site, second):
    run(site, "cp {0}/standing.nft /root/standing.kept && echo nonsense >> {0}/standing.nft".format(FOLDER))
    try:
        assert site.execute("systemctl reload %s" % SEAL)[0] != 0
        isolated(site)
    finally:
        run(site, "cp /root/standing.kept %s/standing.nft && systemctl reload %s" % (FOLDER, SEAL))


def test_no_seal_no_service(site, second):
    """It fails closed: with rules that cannot be loaded neither the engine nor a service starts, and nothing of the earlier rules is taken away."""
    run(site, "cp {0}/owned.nft /root/owned.kept && echo nonsense >> {0}/owned.nft".format(FOLDER))
    try:
        site.execute("systemctl restart %s docker" % SEAL)
        time.sleep(12)  # a service tries again after ten seconds
        states = site.execute("systemctl is-active docker protocol-omni-oracle protocol-omni-executor")[1].split()
        assert "active" not in states, states
        assert "bunker_seal_standing" in run(site, "nft list tables")
    finally:
        run(site, "cp /root/owned.kept %s/owned.nft && systemctl reset-failed && systemctl start %s docker protocol-omni-oracle protocol-omni-executor" % (
            FOLDER, SEAL))
    settled(site)
    isolated(site)


@pytest.mark.full
def test_packets_tell_what_a_digest_does_not(site, second):
    """Rules emptied under their old hash and the table inside removed: the tables look right, the packets tell the truth."""
    run(site, "cp -r {0} /root/seal.kept && sed -i '/drop/d' {0}/*.nft && systemctl reload {1}".format(FOLDER, SEAL))
    run(site, "nsenter --net=/proc/%d/ns/net nft delete table inet bunker_seal_inside" % site.engine().containers.get("oracle").attrs["State"]["Pid"])
    try:
        assert site.run("playbooks/verify.yml").rc != 0
        statuses = {claim["id"]: claim["status"] for claim in site.report()["claims"]}
        assert statuses["networks.sealed"] == "holds"
        assert (statuses["oracle.isolated"], statuses["oracle.sealed_inside"]) == ("fails", "fails")
    finally:
        run(site, "cp /root/seal.kept/* {0}/ && systemctl reload {1} && systemctl restart protocol-omni-oracle protocol-omni-executor".format(FOLDER, SEAL))
    settled(site)
    isolated(site)


def test_it_holds_after_the_host_was_restarted(site, second):
    subprocess.run(["docker", "restart", "--time", "30", site.host], check=True, stdout=subprocess.DEVNULL)
    run(site, "for i in $(seq 60); do systemctl is-active -q protocol-omni-oracle protocol-omni-executor && break; sleep 1; done")
    settled(site)
    isolated(site)
    isolated(site, "executor")
    site.run("playbooks/verify.yml").assert_ok()
