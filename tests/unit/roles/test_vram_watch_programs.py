"""The watcher's programs, as far as no host is needed."""
import pathlib
import runpy
import stat
import sys
import types

import pytest

PROGRAMS = pathlib.Path(__file__).resolve().parents[3] / "roles" / "vram_watch" / "files"
GIB = 2 ** 30


@pytest.fixture
def programs(monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAMS))
    return lambda name: runpy.run_path(str(PROGRAMS / (name + ".py")))


def stand_in(folder, monkeypatch, text):
    """nvidia-smi that answers as NVIDIA's does."""
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % folder)


def test_nvidia_smi_is_read_where_there_is_no_nvml(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, """case $1 in
--query-gpu=*) echo 'GPU-1, NVIDIA RTX PRO 6000 Blackwell, 97887, 93000, 4887'; echo 'GPU-2, NVIDIA GeForce RTX 5090, 32607, 26000, 6607' ;;
--query-compute-apps=*) echo 'GPU-1, 4711, 91000'; echo 'GPU-2, 4711, [N/A]' ;;
esac""")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    gpus = programs("gpus")
    monkeypatch.setitem(gpus["SOURCES"], "auto", [gpus["NvidiaSmi"], gpus["Nothing"]])
    source, reasons = gpus["open_source"]("auto")
    cards = source.read()
    assert (source.name, reasons) == ("nvidia-smi", [])
    assert [(card.uuid, card.total, card.free) for card in cards] == [("GPU-1", 97887 * 2 ** 20, 4887 * 2 ** 20), ("GPU-2", 32607 * 2 ** 20, 6607 * 2 ** 20)]
    assert cards[0].processes == {4711: 91000 * 2 ** 20} and cards[1].processes == {4711: None}  # None: the driver does not tell


def test_a_driver_that_does_not_answer_is_said_and_the_next_source_is_taken(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9")
    gpus = programs("gpus")
    monkeypatch.setitem(gpus["SOURCES"], "auto", [gpus["NvidiaSmi"], gpus["Nothing"]])
    source, reasons = gpus["open_source"]("auto")
    assert source.name == "none" and source.read() == [] and "could not communicate with the NVIDIA driver" in reasons[0]
    with pytest.raises(gpus["Unreadable"], match="could not communicate"):
        gpus["open_source"]("nvidia-smi")


@pytest.mark.parametrize("words", ["[N/A]", "[GPU requires reset]", "9²", "9" * 5000, "-1", "9.5"])
def test_words_for_figures_are_told_by_card_and_end_nothing(tmp_path, monkeypatch, programs, words):
    (tmp_path / "said").write_text("GPU-1, a, %s, 1, 1\nGPU-2, b, 32607, 26000, 6607\n" % words, encoding="utf-8")
    stand_in(tmp_path, monkeypatch, "case $1 in --query-gpu=*) cat %s ;; *) echo 'GPU-2, 4², 9²' ;; esac" % (tmp_path / "said"))
    source = programs("gpus")["NvidiaSmi"]()
    assert [(card.uuid, card.processes) for card in source.read()] == [("GPU-2", {})] and source.odd == {"GPU-1": words[:40]}


def test_a_warning_among_the_cards_and_bytes_that_are_no_text_end_nothing(tmp_path, monkeypatch, programs):
    (tmp_path / "said").write_bytes(b"WARNING: infoROM is corrupted at gpu 0000:01:00.0\nGPU-2, b\xff, 32607, 26000, 6607\n")
    stand_in(tmp_path, monkeypatch, "case $1 in --query-gpu=*) cat %s ;; esac" % (tmp_path / "said"))
    assert [card.free for card in programs("gpus")["NvidiaSmi"]().read()] == [6607 * 2 ** 20]


def test_a_card_that_is_listed_twice_is_refused_by_name(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, "case $1 in --query-gpu=*) echo 'GPU-1, a, 9, 8, 1'; echo 'GPU-1, a, 9, 8, 1' ;; esac")
    gpus = programs("gpus")
    with pytest.raises(gpus["Unreadable"], match="lists card GPU-1 twice"):
        gpus["NvidiaSmi"]()


def test_a_lost_card_of_nvidia_smi_is_missing_and_not_the_end_of_the_watcher(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, """case $1 in
--query-gpu=*)
    echo 'GPU-1, NVIDIA RTX PRO 6000 Blackwell, [GPU is lost], [GPU is lost], [GPU is lost]'
    echo 'GPU-2, NVIDIA GeForce RTX 5090, 32607, 26000, 6607' ;;
esac""")
    assert [card.uuid for card in programs("gpus")["NvidiaSmi"]().read()] == ["GPU-2"]


BROKEN = """case $1 in
*gpu_recovery_action)
    echo 'GPU-1, 00000000:01:00.0, None'
    if [ -e %(folder)s/broken ]; then cat %(folder)s/broken; exit 255; fi
    echo 'GPU-2, 00000000:41:00.0, None' ;;
--query-gpu=*)
    echo 'GPU-1, NVIDIA RTX PRO 6000, by its maker, 97887, 93000, 4887'
    if [ -e %(folder)s/broken ]; then cat %(folder)s/broken; exit 255; fi
    echo 'GPU-2, NVIDIA GeForce RTX 5090, 32607, 26000, 6607' ;;
*) if [ -e %(folder)s/broken ]; then cat %(folder)s/broken; exit 255; fi ;;
esac"""


SILENT = "Unable to determine the device handle for GPU0000:41:00.0: Unknown Error"


@pytest.mark.parametrize("said, odd", [
    (SILENT, {"GPU-2": SILENT}),
    ("Unable to determine the device handle for gpu 0000:41:00.0: GPU is lost.  Reboot the system to recover this GPU", {})], ids=["silent", "lost"])
def test_a_card_that_makes_nvidia_smi_fail_hides_no_other(tmp_path, monkeypatch, programs, said, odd):
    stand_in(tmp_path, monkeypatch, BROKEN % {"folder": tmp_path})
    source = programs("gpus")["NvidiaSmi"]()
    assert [card.uuid for card in source.read(["GPU-1", "GPU-2"])] == ["GPU-1", "GPU-2"] and source.odd == {}
    (tmp_path / "broken").write_text(said + "\n", encoding="ascii")
    (card,) = source.read(["GPU-1", "GPU-2"])
    assert (card.uuid, card.name, card.total) == ("GPU-1", "NVIDIA RTX PRO 6000, by its maker", 97887 * 2 ** 20) and source.odd == odd
    (tmp_path / "broken").unlink()
    assert [card.uuid for card in source.read(["GPU-1", "GPU-2"])] == ["GPU-1", "GPU-2"] and source.odd == {}


def test_a_failure_of_a_card_that_nobody_knows_matters_where_one_is_missing(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, BROKEN % {"folder": tmp_path})
    (tmp_path / "broken").write_text("Unable to determine the device handle for GPU1: Unknown Error\n", encoding="ascii")
    gpus = programs("gpus")
    source = gpus["NvidiaSmi"]()
    assert [card.uuid for card in source.read(["GPU-1"])] == ["GPU-1"]
    with pytest.raises(gpus["Unreadable"], match="for GPU1: Unknown Error"):
        source.read(["GPU-1", "GPU-2"])


def test_a_journal_that_does_not_answer_is_no_end_of_the_watcher(tmp_path, monkeypatch, programs):
    program = tmp_path / "journalctl"
    program.write_text("#!/bin/sh\nexec sleep 600", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    service = programs("service")
    run = service["subprocess"].run
    monkeypatch.setattr(service["subprocess"], "run", lambda *words, **more: run(*words, **dict(more, timeout=0.2)))
    assert service["journal"]("protocol-omni-oracle", "here") == ("", "here")


def test_nvidia_smi_says_where_a_card_is_and_what_it_needs(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, """case $1 in
*gpu_recovery_action) echo 'GPU-1, 00000000:01:00.0, Reset'; echo 'GPU-2, 00000000:41:00.0, [N/A]' ;;
--query-gpu=*) echo 'GPU-1, a, 97887, 93000, 4887'; echo 'GPU-2, b, 32607, 26000, 6607' ;;
esac""")
    source = programs("gpus")["NvidiaSmi"]()
    assert source.addresses == {"GPU-1": "00000000:01:00.0", "GPU-2": "00000000:41:00.0"}
    assert source.recovery == {"GPU-1": ("Reset", None), "GPU-2": ("[N/A]", None)}


def test_a_driver_that_knows_no_recovery_action_is_asked_once_and_read_on(tmp_path, monkeypatch, programs):
    stand_in(tmp_path, monkeypatch, """case $1 in
*gpu_recovery_action) echo asked >> %s; echo 'Field "gpu_recovery_action" is not a valid field to query.'; exit 2 ;;
--query-gpu=*) echo 'GPU-1, a, 97887, 93000, 4887' ;;
esac""" % (tmp_path / "asked"))
    source = programs("gpus")["NvidiaSmi"]()
    assert [card.uuid for card in source.read()] == ["GPU-1"] and (source.addresses, source.recovery) == ({}, {})
    assert (tmp_path / "asked").read_text(encoding="ascii") == "asked\n"


class Library:
    """pynvml of a driver that tells where its one card is and what it needs, or that does not know the questions."""

    NVML_SUCCESS, NVML_ERROR_GPU_IS_LOST, NVML_ERROR_NOT_FOUND, NVML_FI_DEV_GET_GPU_RECOVERY_ACTION = 0, 15, 6, 274
    nvmlEventTypeXidCriticalError = 8

    class NVMLError(Exception):
        value = 13

    class NVMLError_NotSupported(NVMLError):
        pass

    def __init__(self, knows, returned=0):
        self.knows, self.returned = knows, returned

    def __getattr__(self, name):
        answers = {"nvmlDeviceGetCount": 1, "nvmlDeviceGetUUID": "GPU-1", "nvmlDeviceGetName": "a", "nvmlDeviceGetComputeRunningProcesses": [],
                   "nvmlDeviceGetMemoryInfo": types.SimpleNamespace(total=9, used=4, free=5)}
        return lambda *_arguments: answers.get(name)

    def nvmlDeviceGetPciInfo(self, _card):
        if not self.knows:
            raise self.NVMLError("Function Not Found")
        return types.SimpleNamespace(busId=b"00000000:01:00.0")

    def nvmlDeviceGetFieldValues(self, _card, fields):
        assert fields == [self.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION]
        return [types.SimpleNamespace(nvmlReturn=self.returned, value=types.SimpleNamespace(uiVal=2))]


@pytest.mark.parametrize("library, addresses, recovery", [
    (Library(True), {"GPU-1": "00000000:01:00.0"}, {"GPU-1": ("", 2)}), (Library(True, returned=3), {"GPU-1": "00000000:01:00.0"}, {}),
    (Library(False), {}, {})],
    ids=["told", "not supported", "an older NVML"])
def test_nvml_says_where_a_card_is_and_what_it_needs(monkeypatch, programs, library, addresses, recovery):
    monkeypatch.setitem(sys.modules, "pynvml", library)
    source = programs("gpus")["Nvml"]()
    assert [card.free for card in source.read()] == [5] and (source.addresses, source.recovery) == (addresses, recovery)


def test_a_slice_of_a_card_is_read_where_it_is_wanted(monkeypatch, programs):
    library = Library(True)
    library.nvmlDeviceGetHandleByUUID = library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle = lambda given: given
    monkeypatch.setitem(sys.modules, "pynvml", library)
    source = programs("gpus")["Nvml"]()
    assert [(card.uuid, card.free) for card in source.read(["MIG-1"])] == [("GPU-1", 5), ("MIG-1", 5)]
    assert source.addresses["MIG-1"] == "00000000:01:00.0" and source.recovery["MIG-1"] == ("", 2)

    def gone(_uuid):
        error = library.NVMLError("Not Found")
        error.value = library.NVML_ERROR_NOT_FOUND
        raise error
    library.nvmlDeviceGetHandleByUUID = gone
    assert [card.uuid for card in source.read(["MIG-1"])] == ["GPU-1"] and source.odd == {}


@pytest.mark.parametrize("line, found", [
    # ggml-cuda.cu: the buffer of weights, of the KV cache, a pool that grows, and what any call says.
    ("ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9216.00 MiB on device 0: cudaMalloc failed: out of memory", True),
    ("CUDA error: out of memory", True),
    ("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED", True),
    ("CUDA error: an illegal memory access was encountered", False),
    ("srv  log_server_r: request: POST /completion 127.0.0.1 200", False),
    ("Out of memory: Killed process 4711 (llama-server)", False),  # the kernel's, for RAM: no rung for VRAM helps
])
def test_an_exit_for_lack_of_vram_is_told_from_others(programs, line, found):
    assert bool(programs("service")["OUT_OF_MEMORY"].search("some line\n%s\nanother" % line)) is found


STATUS = {
    "time": 1000.0, "interval": 5, "service": "oracle", "source": "nvml", "lost": [], "headroom": 4 * GIB, "warn": 7 * GIB, "act": 2 * GIB,
    "gpus": [{"uuid": "GPU-1", "name": "NVIDIA RTX PRO 6000", "total": 96 * GIB, "used": 92 * GIB, "free": 4 * GIB, "held": 80 * GIB}],
    "time_to_zero": 400.0, "rung": 1, "ladder": ["inventory", "kv_to_ram"], "predicted": [3 * GIB, 4 * GIB], "barred": [], "why": "headroom was low",
    "since": "2026-01-22T03:00:00Z", "stepping": None, "latched": "", "reason": "", "filled": {"headroom": 3 * GIB}, "memory_available": 300 * GIB,
    "services": {"oracle": {"endpoint": "http://172.30.0.10:8000", "up": True, "generation": 10.9, "prompt": 172.0}}, "gateway": "http://127.0.0.1:8080/v1",
    "events": [{"time": "2026-01-22T03:00:00+00:00", "event": "step", "text": "to rung 1 (kv_to_ram)"}],
}


def test_the_status_is_one_screen_that_says_what_matters(programs):
    lines, wrong = programs("status")["screen"](STATUS, 1002.0)
    text = "\n".join(lines)
    assert not wrong and len(lines) <= 24 and max(map(len, lines)) <= 160
    for part in ("#################################+++++..", "4.0 GiB free of 96.0 GiB", "rung 1 of 1: kv_to_ram, since 2026-01-22T03:00:00Z: headroom was low",
                 "gone in 400 s", "10.9 tok/s", "http://172.30.0.10:8000/v1", "to rung 1 (kv_to_ram)", "> 1 kv_to_ram"):
        assert part in text, text


@pytest.mark.parametrize("change, part", [
    ({"time": 900.0}, "STALE"), ({"latched": "no rung is left"}, "GIVEN UP: no rung is left"), ({"lost": ["GPU-1"]}, "GPU-1  LOST"),
    ({"services": {"oracle": dict(STATUS["services"]["oracle"], up=False)}}, "DOWN"),
])
def test_what_needs_a_person_fails(programs, change, part):
    lines, wrong = programs("status")["screen"](dict(STATUS, **change), 1002.0)
    assert wrong and part in "\n".join(lines)


def test_who_has_given_up_says_the_whole_command_that_goes_on(programs):
    lines, _wrong = programs("status")["screen"](dict(STATUS, latched="no rung is left"), 1002.0)
    assert "  go on, from where the inventory is: ansible-playbook -i INVENTORY site.yml -e bunker_rung=0" in lines
