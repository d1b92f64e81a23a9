"""A process as the kernel shows it, where no card is: a folder that looks like one of /proc."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_survey


@pytest.fixture
def proc(tmp_path):
    folder = tmp_path / "42"
    (folder / "fd").mkdir(parents=True)
    for number, target in enumerate(["/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia0", "/dev/null", "socket:[7]", "/dev/nvidia-uvm"]):
        (folder / "fd" / str(number)).symlink_to(target)
    (folder / "environ").write_bytes(b"PATH=/bin\0NOT_CUDA_VISIBLE_DEVICES=x\0CUDA_VISIBLE_DEVICES=\0")
    (folder / "cmdline").write_bytes(b"/opt/llama/llama-server\0--threads\x008\0--alias\0\0")
    (folder / "status").write_text("Name:\tllama-server\nVmHWM:\t  9000 kB\nVmRSS:\t  6250 kB\n", encoding="ascii")
    (folder / "maps").write_text(
        "7f00-7f01 r-xp 00000000 00:31 7 /usr/lib/libcudart.so.13\n7f01-7f02 r-xp 00000000 00:31 8 /usr/lib/libcuda.so.580.95.05\n"
        "7f02-7f03 r--p 00000000 00:31 8 /usr/lib/libcuda.so.580.95.05\n7f03-7f04 r--p 0 00:31 9 /opt/llama/libggml-cpu.so\n", encoding="ascii")
    return tmp_path


def test_what_counts_of_a_process(proc):
    assert service_survey.process(42, str(proc)) == {
        "arguments": ["/opt/llama/llama-server", "--threads", "8", "--alias", ""], "visible_devices": "", "memory": 6250 * 1024, "backend": [],
        "devices": ["/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"], "libcuda": ["/usr/lib/libcuda.so.580.95.05"]}


def test_an_environment_without_the_variable_is_another_thing_than_an_empty_one(proc):
    (proc / "42" / "environ").write_bytes(b"PATH=/bin\0")
    assert service_survey.process(42, str(proc))["visible_devices"] is None


def test_a_process_that_is_not_there_is_an_error(proc):
    with pytest.raises(FileNotFoundError):
        service_survey.process(43, str(proc))


@pytest.mark.parametrize("text, found", [
    ("GPU-a, 42\nGPU-b, 421\nGPU-c,42\n", ["GPU-a", "GPU-c"]), ("", []), ("No running processes found\n", []), ("GPU-a, [Not Found]\n", [])])
def test_only_the_process_itself_counts_on_a_card(text, found):
    assert service_survey.gpus_of(42, text) == found


@pytest.mark.parametrize("text, found", [
    ('\t\toifname "lo" accept\n\t\tcounter drop\n', ['oifname "lo" accept', "counter drop"]), ("\t\tcounter drop\n", ["counter drop"]),
    ('\t\tcounter drop\n\t\toifname "lo" accept\n', ["counter drop", 'oifname "lo" accept']), ("Error: No such file or directory\n", [])])
def test_the_order_of_the_statements_inside_is_told(text, found):
    assert service_survey.statements_inside(text) == found


def test_a_label_that_only_begins_like_it_is_another():
    assert service_survey.definition_of_unit(b"--label a.b=0123 \\", "a.b") == "0123"
    assert service_survey.definition_of_unit(b"--label a.b.c=0123 --label aXb=0123 \\", "a.b") == ""
