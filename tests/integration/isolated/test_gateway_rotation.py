"""Keys and certificates are exchanged while clients go on asking: old and new hold at once, and no request is lost.

Each request has a connection of its own, as a client has that starts anew; the kept ones are test_gateway.py's (a reload breaks no stream).
"""
import contextlib
import datetime
import secrets
import ssl
import threading
import time

import httpx2
import pytest
from support.gateway_host import hashed

FOLDER = "/etc/protocol_omni/gateway"


@pytest.fixture(scope="module", autouse=True)
def as_before(door):
    """The gateway of the fixture, and its certificate for the modules that follow."""
    yield
    door.sh("rm -f %(folder)s/operator.previous %(folder)s/operator.next %(folder)s/next.* %(folder)s/previous.pem %(folder)s/trust.pem" % {"folder": FOLDER})
    door.deploy().assert_ok()
    door.read_certificate()


def asks(door, key, trusted):
    """The status of one request on a connection of its own; what went wrong where there was none."""
    try:
        with httpx2.Client(verify=trusted, timeout=20) as client:
            return client.get(door.url + "/v1/models", headers={"Authorization": "Bearer " + key}).status_code
    except httpx2.HTTPError as error:
        return repr(error)


@contextlib.contextmanager
def client(door, key, trusted):
    """A client that asks on and on meanwhile; gives the list of what came of it.

    :param key: function that returns the key to ask with.
    """
    found, over = [], threading.Event()

    def run():
        while not over.is_set():
            found.append(asks(door, key(), trusted))
            time.sleep(0.25)  # a holder may ask 600 times a minute
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def rotate(door, what, step="begin", **others):
    holders = [{"name": name, "sha256": hashed(door.keys[name])} for name in ("alice", "bob", "carol")]
    return door.run("playbooks/rotate.yml", "--diff", extra_vars=dict(others, rotate_what=what, rotate_step=step, gateway_keys=holders))


def operators(door):
    return door.sh("cat %s/operator.key" % FOLDER)


def test_the_operators_key_changes_and_the_former_one_holds_until_it_is_ended(door):
    former = operators(door)
    with client(door, lambda: former, door.context) as old, client(door, lambda: operators(door), door.context) as present:
        done = rotate(door, "operator_key").assert_ok()
    new = operators(door)
    assert new != former and len(new) == 64 and new not in done.output and former not in done.output
    assert len(old) > 10 and set(old) == {200} and len(present) > 5 and set(present) == {200}
    refused = rotate(door, "operator_key")
    assert refused.rc != 0 and "still holds until" in refused.failures[-1] and operators(door) == new
    assert door.deploy().assert_ok().changed == set() and asks(door, former, door.context) == 200
    rotate(door, "operator_key", "end").assert_ok()
    assert asks(door, former, door.context) == 401 and asks(door, new, door.context) == 200


def in_seconds(number):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_holders_key_changes_by_the_inventory_and_the_former_one_ends_by_itself(door):
    new, former = secrets.token_hex(32), door.keys["alice"]
    alice = {"name": "alice", "sha256": hashed(new), "previous_sha256": hashed(former)}
    with client(door, lambda: former, door.context) as old:
        door.deploy(gateway_keys=[dict(alice, previous_until=in_seconds(3600))]).assert_ok()
    assert len(old) > 10 and set(old) == {200} and asks(door, new, door.context) == 200
    end = time.monotonic() + 60
    soon = {"gateway_keys": [dict(alice, previous_until=in_seconds(60))]}
    door.deploy(**soon).assert_ok()
    while asks(door, former, door.context) == 200:
        assert time.monotonic() < end + 5
        time.sleep(1)
    assert time.monotonic() > end - 2
    assert asks(door, former, door.context) == 401 and asks(door, new, door.context) == 200
    assert door.deploy(**soon).assert_ok().changed == set()


def test_the_certificate_changes_under_clients_that_were_given_both(door):
    key, first = door.keys["bob"], door.sh("cat %s/self_signed.pem" % FOLDER)
    assert "CA:FALSE" in door.sh("openssl x509 -in %s/self_signed.pem -noout -ext basicConstraints" % FOLDER)
    refused = rotate(door, "certificate", "switch")
    assert refused.rc != 0 and "Begin first" in refused.failures[-1] and refused.changed == set()
    rotate(door, "certificate").assert_ok()
    both = ssl.create_default_context(cadata=door.sh("cat %s/trust.pem" % FOLDER))
    assert ssl.get_server_certificate((door.address, door.port)).split() == first.split()
    with client(door, lambda: key, both) as found:
        rotate(door, "certificate", "switch").assert_ok()
        second = door.sh("cat %s/self_signed.pem" % FOLDER)
        assert ssl.get_server_certificate((door.address, door.port)).split() == second.split() and second != first
    assert len(found) > 10 and set(found) == {200}
    assert "CERTIFICATE_VERIFY_FAILED" in asks(door, key, door.context)  # who was given nothing
    rotate(door, "certificate", "end").assert_ok()
    assert asks(door, key, ssl.create_default_context(cadata=second)) == 200
    assert "trust.pem" not in door.sh("ls %s" % FOLDER)
    door.read_certificate()
