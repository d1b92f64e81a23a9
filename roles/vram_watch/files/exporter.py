# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told. docs/contingencies.md lists the names; the role observability's rules and dashboard use them."""
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

_GAUGES = {
    "bunker_vram_total_bytes": ("Memory of the card.", ["gpu"]),
    "bunker_vram_used_bytes": ("Memory of the card in use, by whomever.", ["gpu"]),
    "bunker_vram_free_bytes": ("Free memory of the card.", ["gpu"]),
    "bunker_vram_service_bytes": ("Memory of the card that the service holds.", ["gpu", "service"]),
    "bunker_card_state": ("0: it is well, 1: to be reset when that suits, 2: it needs a reset, 3: the host needs a restart.", ["gpu"]),
    "bunker_headroom_bytes": ("Free memory on that of the service's cards that has least; NaN while it is unknown.", ["service"]),
    "bunker_headroom_warn_bytes": ("Headroom under which it warns.", ["service"]),
    "bunker_headroom_act_bytes": ("Headroom under which it acts.", ["service"]),
    "bunker_time_to_zero_seconds": ("Until no headroom is left if it goes on so; +Inf where it does not fall.", ["service"]),
    "bunker_rung": ("Rung of the contingency ladder; 0 is as the inventory says.", ["service"]),
    "bunker_latched": ("1: it gave up, somebody has to set a rung.", ["service"]),
    "bunker_step_seconds": ("How long the last step took.", ["service"]),
    "bunker_last_sample_timestamp_seconds": ("When the cards were last read.", []),
    "bunker_service_up": ("1: it is healthy.", ["service"]),
    "bunker_host_memory_available_bytes": ("MemAvailable of the host.", []),
    "bunker_service_generation_tokens_per_second": ("llama-server's own figure.", ["service"]),
    "bunker_service_requests_processing": ("Requests that it works on.", ["service"]),
}
_COUNTERS = {
    "bunker_decisions": ("What was decided.", ["service", "decision"]),
    "bunker_steps": ("Steps by what came of them.", ["service", "result"]),
    "bunker_samples": ("Samples taken.", ["source"]),
    "bunker_sample_failures": ("Samples that could not be read.", ["source"]),
    "bunker_sample_gaps": ("Times that a sample came more than two intervals late.", []),
    "bunker_oom_exits": ("Exits for lack of VRAM.", ["service"]),
    "bunker_exits": ("Exits of whatever cause that nobody asked for.", ["service"]),
    "bunker_xid_errors": ("Xid errors of the driver.", ["gpu", "xid"]),
}


class Exporter:
    """The metrics, at http://127.0.0.1:PORT/metrics; served by a thread of prometheus_client."""

    def __init__(self, port):
        registry = CollectorRegistry()
        self._gauges = {name: Gauge(name, text, labels, registry=registry) for name, (text, labels) in _GAUGES.items()}
        self._counters = {name: Counter(name, text, labels, registry=registry) for name, (text, labels) in _COUNTERS.items()}
        self.fault = ""  # why nobody can read them; a watcher that watches unread is better than none
        try:
            start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            self.fault = "no metrics on port %d: %s" % (port, error)

    def set(self, name, value, **labels):
        """Sets a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def count(self, name, amount=1, **labels):
        """Counts something; 0 makes it visible."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)
