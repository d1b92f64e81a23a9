# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the attempts and listens who hears them.

An attempt counts as blocked only where its control was heard: a probe that reaches nobody proves nothing. On an internal network the unrestricted
caller reaches neither outside nor host either, so there the caller of an open network is the control; where the container stands on none, one on the
engine's default bridge.
"""
from __future__ import annotations

import contextlib
import errno
import select
import socket
import time

from . import frames
from .attempts import ATTEMPTS, HOST_PORT, METADATA, Origin, question
from .namespaces import Namespace, NamespaceError
from .world import Network, Outside, capabilities, ear, interfaces_of, unused_prefix

BLOCKED, PASSED, UNPROVEN, ANSWERED = "blocked", "passed", "unproven", "answered"
OUTGOING = 4  # PACKET_OUTGOING of packet(7)
NET_ADMIN_AND_RAW = 1 << 12 | 1 << 13
EMBEDDED_RESOLVER = "127.0.0.11"
ENGINE_PATIENCE = 5  # seconds that the engine may take to answer for a container's name


class World:
    """The container, what surrounds it, and the ears."""

    def __init__(self, pid, networks, outside_subnet):
        """:param networks: list of dict with name, bridge, subnet, gateway, internal. The container need not stand on all."""
        self.host, prefix = Namespace.of_process("thread-self"), unused_prefix()
        self.outside = Outside(self.host, outside_subnet, prefix)
        self.networks = [Network(self.host, **network) for network in networks]
        for number, network in enumerate(self.networks):
            network.populate(number, prefix)
        self.container = interfaces_of(Namespace.of_process(pid), self.networks)
        self.ears = {("outside", None): ear(self.outside.namespace)}
        self.ears.update({("neighbour", network.name): ear(network.neighbour.namespace) for network in self.networks})
        self.everywhere = ear(self.host)
        self.datagrams = [self._listener(socket.AF_INET, "0.0.0.0", HOST_PORT), self._listener(socket.AF_INET6, "::", HOST_PORT)]
        self.resolvers = [self._listener(socket.AF_INET, network.gateway, 53) for network in self.networks]
        self.connections = self._listener(socket.AF_INET, "0.0.0.0", HOST_PORT, socket.SOCK_STREAM)
        self.hears_itself = self._hears_itself()

    def _hears_itself(self):
        """Whether the ears of the host hear what the host says to an address of its own, which no firewall should refuse."""
        target = (self.networks[0].gateway, HOST_PORT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker, contextlib.suppress(OSError):
            asker.sendto(b"own", target)
            with socket.create_connection(target, timeout=1):
                return bool(select.select([self.datagrams[0]], [], [], 1)[0] and select.select([self.connections], [], [], 1)[0])
        return False

    @staticmethod
    def _listener(family, address, port, kind=socket.SOCK_DGRAM):
        opened = socket.socket(family, kind)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setblocking(False)
        try:
            if kind == socket.SOCK_STREAM:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((address, port))
            if kind == socket.SOCK_STREAM:
                opened.listen(64)
        except OSError as error:
            opened.close()
            if error.errno == errno.EADDRINUSE and port == 53:
                return None  # the host's own resolver listens there
            raise NamespaceError("port %d of the host: %s. Free it, or wait where another look at the claims is under way" % (port, error.strerror)) from error
        return opened


class Trial:
    """One attempt by one side: how often it was heard where it must not be."""

    def __init__(self, attempt, origin):
        self.attempt, self.origin, self.heard, self.error, self.inapplicable = attempt, origin, 0, "", ""

    @property
    def borrows(self):
        """Whether even an unrestricted caller of this network would not get there, so that one of another is the control."""
        return self.origin.network.internal and self.attempt.where != "neighbour"

    def make(self):
        try:
            self.attempt.send(self.origin)
        except OSError as error:  # no route, no address: that is a way of being blocked
            self.error = error.strerror or str(error)

    def hears_frame(self, frame):
        addresses = [METADATA] if "metadata" in self.attempt.name else [self.origin.outside] if self.attempt.where == "outside" else [
            self.origin.network.neighbour.address]
        port = 53 if "DNS" in self.attempt.name else self.origin.port
        marks = (self.origin.token, self.origin.token.hex().encode())
        if any(mark in frame for mark in marks) or any(frames.is_opening(frame, address, port) for address in addresses):
            self.heard += 1

    def hears_connection(self, peer, local):
        goal = self.origin.network.gateway if "gateway" in self.attempt.name else self.origin.world.outside.gateway
        if self.attempt.name.startswith("TCP") and (peer, local) == (self.origin.address, goal):
            self.heard += 1


def _received(opened):
    with contextlib.suppress(OSError):
        while True:
            yield opened.recvfrom(65535)


def listen(world, pairs, spare, seconds):
    """Counts for some seconds what is heard; once all controls were, half a second more suffices."""
    trials, by_ear = [trial for pair in pairs for trial in pair] + spare, {}
    for trial in trials:
        where = trial.attempt.where
        by_ear.setdefault((where, trial.origin.network.name if where == "neighbour" else None), []).append(trial)
    begun = again = time.monotonic()
    ends = begun + seconds
    sockets = [*world.ears.values(), *world.datagrams, *filter(None, world.resolvers), world.connections]
    while time.monotonic() < ends:
        select.select(sockets, [], [], 0.05)
        for key, opened in world.ears.items():
            for frame, address in _received(opened):
                if address[2] != OUTGOING:
                    for trial in by_ear.get(key, []):
                        trial.hears_frame(frame)
        for opened in [*world.datagrams, *filter(None, world.resolvers)]:
            for frame, _address in _received(opened):
                for trial in by_ear.get(("host", None), []):
                    trial.hears_frame(frame)
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, peer = world.connections.accept()
                for trial in by_ear.get(("host", None), []):
                    trial.hears_connection(peer[0], connection.getsockname()[0])
                connection.close()
        deaf = [pair for pair in [*pairs, *zip(spare, spare)] if not pair[1].heard and not pair[0].borrows and not pair[0].inapplicable]
        now = time.monotonic()
        if not deaf:
            ends = min(ends, now + 0.5)
        elif now - again > 0.6:  # a first packet may be lost while a bridge learns its ports
            again = now
            for trial in [trial for pair in deaf for trial in pair]:
                trial.make()


def trials_of(world):
    """Every attempt by the container and by a caller beside it, and controls to lend where the container stands on internal networks alone.

    :returns: tuple of a list of pairs of Trial and a list of Trial.
    """
    def trial(attempt, number, interface, control):
        outside = world.outside.control_address if control else world.outside.address
        return Trial(attempt, Origin(interface, world, outside, 20000 + 2 * number + control))
    pairs, spare = [], []
    open_networks = [network for network in world.networks if not network.internal]
    alone = all(place.network.internal for place in world.container.values())
    routed = next((place for place in world.container.values() if not place.network.internal), next(iter(world.container.values())))
    for number, attempt in enumerate(ATTEMPTS):
        for place in world.container.values() if attempt.each_network else [routed]:
            pairs.append((trial(attempt, number, place, False), trial(attempt, number, place.network.caller, True)))
            pairs[-1][0].inapplicable = does_not_apply(world, attempt, place.network)
        if alone and open_networks and attempt.where != "neighbour":
            spare.append(trial(attempt, number, open_networks[0].caller, True))
    return pairs, spare


def explain_the_unheard(world, pairs):
    """What this host drops between unrestricted neighbours too: the same frame sent past the bridge shows that frame and ear are sound."""
    unheard = [(trial, Trial(trial.attempt, Origin(trial.origin.network.past_the_bridge, world, trial.origin.outside, 0)))
               for trial, control in pairs
               if trial.attempt.whole and trial.attempt.where == "neighbour" and not trial.heard and not control.heard and not trial.inapplicable]
    for _trial, past in unheard:
        past.make()
    until = time.monotonic() + (0.5 if unheard else 0)
    while time.monotonic() < until:
        time.sleep(0.05)
        for (where, name), opened in world.ears.items():
            for frame, _address in _received(opened):
                for _trial, past in unheard:
                    if where == "neighbour" and past.origin.network.name == name:
                        past.hears_frame(frame)
    for trial, past in unheard:
        past.origin.close()
        if past.heard:
            trial.inapplicable = "this host drops it between unrestricted neighbours too; sent past the bridge it is heard"


def does_not_apply(world, attempt, network):
    """Why an attempt cannot be made here, or ""."""
    if "metadata" in attempt.name and not world.outside.has_metadata:
        return "the host has a route of its own to %s" % METADATA
    if "DNS to the host" in attempt.name and None in world.resolvers:
        return "the host's own resolver listens on port 53; what stops a datagram to another port stops one to this too"
    if attempt.name.endswith("nodes of the link: host") and not _has_ipv6(network.bridge):
        return "bridge %s has no IPv6 address" % network.bridge
    return ""


def _has_ipv6(bridge):
    with open("/proc/net/if_inet6", encoding="ascii") as stream:
        return any(line.split()[-1] == bridge for line in stream)


def rows_of(world, pairs, spare=()):
    """The table: one row an attempt and network."""
    rows = []
    for trial, control in pairs:
        attempt, network = trial.attempt, trial.origin.network
        controls, place = control.heard, network.name
        if trial.borrows and not controls:
            lent = [other for other in [*(pair[1] for pair in pairs), *spare] if other.attempt is attempt and other.heard]
            controls, place = (lent[0].heard, lent[0].origin.network.name) if lent else (0, place)
        reason = trial.inapplicable
        if attempt.where == "host" and not reason and not controls and not trial.heard and world.hears_itself:
            reason = "the host's own firewall refuses it from an unrestricted neighbour too; the host hears itself"
        observed = PASSED if trial.heard else BLOCKED if controls else UNPROVEN
        evidence = "heard %d; its control on %s heard %d%s" % (trial.heard, place, controls, "; the kernel said: " + trial.error if trial.error else "")
        rows.append({"attempt": attempt.name, "network": network.name, "expected": BLOCKED, "observed": "" if reason else observed,
                     "heard": trial.heard, "control_heard": controls, "evidence": evidence, "does_not_apply": reason})
    return rows


def _row(name, expected, observed, evidence, heard=0, control=1):
    return {"attempt": name, "network": "", "expected": expected, "observed": observed, "heard": heard, "control_heard": control,
            "evidence": evidence, "does_not_apply": ""}


def ask_engine(place, world, payload, marks=()):
    """Asks the engine's own resolver in the container's namespace; returns its answer (or b"") and how often a mark was heard on the host."""
    with place.namespace.entered():
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard, answer = 0, b""
    with asker:
        asker.settimeout(0.02)
        asker.sendto(payload, (EMBEDDED_RESOLVER, 53))
        asked = time.monotonic()
        ends = asked + (1 if marks else ENGINE_PATIENCE)
        while time.monotonic() < ends:
            if not marks and time.monotonic() > asked + 0.3:  # a busy engine may have lost the question
                asked = time.monotonic()
                asker.sendto(payload, (EMBEDDED_RESOLVER, 53))
            with contextlib.suppress(OSError):
                answer = answer or asker.recv(4096)
            heard += sum(1 for frame, _address in _received(world.everywhere) if any(mark in frame for mark in marks))
            if answer and not marks:
                break
            if answer:
                ends = min(ends, time.monotonic() + 0.3)
    return answer, heard


def resolver_rows(world, name, forwarders):
    """Names: containers' resolve, others stay.

    :param forwarders: servers that the engine is told to ask for other names; none means the host's.
    """
    place = next(iter(world.container.values()))
    answer, _heard = ask_engine(place, world, frames.dns_query(name))
    code, answers = frames.dns_answer(answer) if answer else (-1, 0)
    rows = [_row("name of a container through the engine's resolver", ANSWERED, ANSWERED if code == 0 and answers else BLOCKED,
                 "%s: code %d, %d answer(s)" % (name, code, answers))]
    title = "name of the outside through the engine's resolver"
    if not forwarders or any(not server.startswith("127.") for server in forwarders):
        rows.append(_row(title, BLOCKED, PASSED, "not asked: the engine would forward it to %s" % (", ".join(forwarders) or "the host's resolvers")))
        return rows
    origin = Origin(place, world, world.outside.address, 0)
    answer, heard = ask_engine(place, world, question(origin), (origin.token, origin.token.hex().encode()))
    code, answers = frames.dns_answer(answer) if answer else (-1, 0)
    rows.append(_row(title, BLOCKED, PASSED if heard or answers else BLOCKED,
                     "heard %d on any interface of the host; code %d, %d answer(s)" % (heard, code, answers), heard))
    return rows


def forgery_row(pid):
    """With a forged hardware address *and* source a frame is nobody's in particular. Only a capability lets a process send one."""
    found = capabilities(pid)
    return _row("frames of any content", BLOCKED, PASSED if found & NET_ADMIN_AND_RAW else BLOCKED,
                "capabilities of the process: %016x, neither NET_ADMIN nor NET_RAW allowed" % found)


def probe(pid, name, networks, forwarders, outside_subnet):
    """The table of a container.

    :param pid: its process.
    :param name: its name, which must resolve.
    :param networks: as for :class:`World`.
    :param forwarders: list of addresses, the engine's ``HostConfig.Dns``.
    :returns: list of dict with attempt, network, expected, observed, heard, control_heard, evidence and does_not_apply.
    :raises NamespaceError: the world cannot be made; the message says why.
    """
    world = World(pid, networks, outside_subnet)
    if not world.container:
        raise NamespaceError("container %s stands on none of %s" % (name, ", ".join(network["name"] for network in networks)))
    pairs, spare = trials_of(world)
    trials = [trial for pair in pairs for trial in pair] + spare
    try:
        for trial in trials:
            trial.make()
        listen(world, pairs, spare, 2.5)
        explain_the_unheard(world, pairs)
        return rows_of(world, pairs, spare) + resolver_rows(world, name, forwarders) + [forgery_row(pid)]
    finally:
        for trial in trials:
            trial.origin.close()
