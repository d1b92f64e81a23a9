"""Lines as kernels print them, and what NVIDIA's catalogue says of their numbers."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import xid


@pytest.mark.parametrize("line, pci, number, text", [
    ("NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", "0000:01:00", 79,
     "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
    ("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.", "0000:01:00", 79, "GPU has fallen off the bus."),
    ("NVRM: Xid (PCI:00000000:C1:00.0): 119, pid=4711, name=llama-server, Timeout after 6s of waiting for RPC response from GPU1 GSP!", "0000:c1:00", 119,
     "pid=4711, name=llama-server, Timeout after 6s of waiting for RPC response from GPU1 GSP!"),
    ("NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)", "0008:01:00", 154,
     "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"),
    ("NVRM: Xid (PCI:0000:0f:00 GPU-I:05): 13, pid=9, name=x, Graphics SM Warp Exception on (GPC 0, TPC 1, SM 0)", "0000:0f:00", 13,
     "pid=9, name=x, Graphics SM Warp Exception on (GPC 0, TPC 1, SM 0)"),
    ("NVRM: Xid (0000:03:00): 31, Ch 00000002, engmask 00000111", "0000:03:00", 31, "Ch 00000002, engmask 00000111"),  # branches before 343
    ("[12345.678901] NVRM: Xid (PCI:0000:41:00): 48", "0000:41:00", 48, ""),
    ("Nov 29 03:00:01 host kernel: NVRM: Xid (PCI:0001:00:00): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.",
     "0001:00:00", 63, "pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate."),
])
def test_a_line_of_the_kernel(line, pci, number, text):
    assert xid.of_line(line) == (pci, number, text)


@pytest.mark.parametrize("line", [
    "", "NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", "NVRM: Xid (PCI:0000:66:00): abc, pid=2280636",
    "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 12028",
    "NVRM: Xid (PCI:0000:66:00): 99999999999999999999, x", "NVRM: Xid (43, pid: 5678)", "NVRM: Xid (PCI:zz:66:00): 79, x"])
def test_a_line_that_tells_of_none(line):
    assert xid.of_line(line) is None


@pytest.mark.parametrize("numbers, kind", [
    ((8, 11, 13, 31, 32, 39, 68, 69, 94, 101, 130), "application"),
    ((14, 37, 43, 45, 63, 66, 74, 92, 121, 137, 145, 154, 157, 160), "log"),
    ((46, 48, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158), "reset"),
    ((79, 151), "reboot"),
    ((0, 7, 65, 165, 999), "log"),  # not in the catalogue, or without an action
])
def test_what_a_number_asks_for(numbers, kind):
    assert {number: xid.kind_of(number) for number in numbers} == dict.fromkeys(numbers, kind)


def test_the_catalogue_is_in_order_names_each_number_once_and_knows_its_actions():
    ends = [(first, last) for first, last, _action, _words in xid.CATALOGUE]
    assert all(first <= last for first, last in ends) and all(one[1] < other[0] for one, other in zip(ends, ends[1:]))
    assert {action for _first, _last, action, _words in xid.CATALOGUE} == set(xid.ACTIONS)
    assert set(xid.ACTIONS.values()) <= set(xid.KINDS)


@pytest.mark.parametrize("text, kind, words", [
    ("GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)", "reset", "GPU Reset Required"),
    ("GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)", "reboot", "Node Reboot Required"),
    ("GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)", "reboot", "OS Reboot"),
    ("GPU recovery action changed from 0x0 (None) to 0x1 (PF FLR)", "reset", "PF FLR"),
    ("GPU recovery action changed from 0x0 (None) to 0x3 (Drain P2P)", "later", "Drain P2P"),
    ("GPU recovery action changed from 0x1 (GPU Reset Required) to 0x4 (Drain and Reset)", "later", "Drain and Reset"),
    ("GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)", "none", "None"),
    ("GPU recovery action changed from 0x0 (None) to 0x9 (Recover IMEX Domain)", "later", "Recover IMEX Domain"),
    ("GPU recovery action changed", None, ""), ("", None, ""),
])
def test_xid_154_says_by_itself_what_the_card_needs(text, kind, words):
    assert xid.changed_to(text) == (kind, words)


@pytest.mark.parametrize("words, code, kind", [
    ("None", None, "none"), ("Reset", None, "reset"), ("GPU_RESET", None, "reset"), ("Reboot", None, "reboot"), ("Drain P2P", None, "later"),
    ("Drain and Reset", None, "later"), ("[N/A]", None, None), ("N/A", None, None), ("[Unknown Error]", None, None), ("", None, None),
    ("Requested functionality has been deprecated", None, None), ("", 0, "none"), ("", 1, "reset"), ("", 2, "reboot"), ("", 4, "later"),
    ("", 5, "later"), ("", 6, "reset"), ("", 7, "reboot"), ("", 77, "later"),
])
def test_what_a_recovery_action_asks_for(words, code, kind):
    assert xid.kind_of_words(words, code) == kind


@pytest.mark.parametrize("text, found", [
    ("00000000:01:00.0", "0000:01:00"), ("0000:C1:00.0", "0000:c1:00"), ("0001:00:1f", "0001:00:1f"), ("00010000:00:06.0", "10000:00:06"),
    ("[N/A]", ""), ("", "")])
def test_addresses_have_one_form(text, found):
    assert xid.address(text) == found


@pytest.mark.parametrize("fault, parts", [
    (xid.fault_of_number(119), ["NVIDIA's action for Xid 119 (its firmware (GSP) does not answer) is RESET_GPU",
                                "systemctl stop oracle.service watch.service; nvidia-smi --gpu-reset -i 0000:01:00.0; systemctl reset-failed oracle.service"]),
    (xid.fault_of_number(79), ["Xid 79 (it has fallen off the bus) is RESTART_BM", "systemctl reboot (where it stays away: power off and on)"]),
    (xid.fault_of_recovery("later", "Drain and Reset"), ['recovery action is "Drain and Reset"', "reset when that suits", "--gpu-reset"]),
])
def test_a_fault_is_one_sentence_with_its_command(fault, parts):
    said = xid.sentence("GPU-1", "0000:01:00", fault, ["oracle.service", "watch.service"])
    assert said.startswith("card GPU-1: ") and "\n" not in said
    for part in parts:
        assert part in said
    if fault.kind != "reboot":
        assert "-i GPU-1;" in xid.sentence("GPU-1", "", fault, ["a"])


def test_what_a_card_goes_on_after_is_no_fault():
    assert [xid.fault_of_number(number) for number in (13, 31, 43, 45, 63, 94, 154, 999)] == [None] * 8
    assert [xid.fault_of_recovery(kind, "x") for kind in ("none", "log", None)] == [None] * 3
    assert xid.told("GPU-1", 94) == "card GPU-1 reports Xid 94: a memory error that one program alone had; NVIDIA's action is RESTART_APP"
    assert xid.told("GPU-1", 999) == "card GPU-1 reports Xid 999, which NVIDIA's catalogue gives no action"


@pytest.mark.parametrize("words, asked", [
    ("Drain and Reset", "it works on, and is to be reset when that suits: systemctl stop a.service;"),
    ("Recover IMEX Domain", "it works on; see what that asks for: nvidia-smi -q -i 0000:01:00.0"),
    ("Something New", "it works on; see what that asks for: nvidia-smi -q -i 0000:01:00.0")])
def test_an_action_that_no_reset_ends_is_told_without_one(words, asked):
    fault = xid.fault_of_recovery(xid.kind_of_words(words), words)
    assert asked in xid.sentence("GPU-1", "0000:01:00", fault, ["a.service"])


@pytest.mark.parametrize("words, kind, asked", [
    ("[GPU requires reset]", "reset", "nvidia-smi --gpu-reset"), ("GPU requires reset", "reset", "nvidia-smi --gpu-reset"),
    ("[GPU is lost]", "reboot", "systemctl reboot"), ("GPU is lost", "reboot", "systemctl reboot"),
    ("Unable to determine the device handle for GPU 0000:41:00.0: GPU is lost.  Reboot the system to recover this GPU", "reboot", "systemctl reboot")])
def test_what_a_card_says_in_place_of_its_figures_is_its_fault(words, kind, asked):
    fault = xid.fault_of_silence(words)
    assert fault.kind == kind and asked in xid.sentence("GPU-1", "0000:41:00", fault, ["a.service"])
    assert [xid.fault_of_silence(other) for other in ("[Unknown Error]", "[N/A]", "", "ERR!", "[Insufficient Permissions]")] == [None] * 5


@pytest.mark.parametrize("text, pid, anothers", [
    ("pid=815, name=python3, Contained: SM (0x1)", 4711, True), ("pid=815, name=python3", 4711, True), ("pid=4711, name=python3, x", 4711, False),
    ("pid=815, name=llama-server, x", 4711, False), ("pid='<unknown>', name=<unknown>, x", 4711, False), ("", 4711, False),
    ("pid=815, name=cuda-EvtHandlr, x", 0, False)])  # while nobody knows the service's process it may be one of its threads
def test_whose_error_it_surely_was_not(text, pid, anothers):
    assert xid.of_another(text, pid, "llama-server") is anothers
