"""prune-device-code on libraries that nvcc made, and on mutations of them; cuda_readiness is the other reader."""
import pathlib
import random
import shutil
import subprocess
import sys

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import MemorySource
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.device_code import read_device_code
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.fatbin import architecture

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fuzz"))
import pruned_libraries  # noqa: E402

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "roles" / "golden_image" / "files" / "prune-device-code"


def entries(path):
    """(architecture, payload) of each entry of a file, by cuda_readiness; the list of its emptied ones has no payload but zeros."""
    data, found = path.read_bytes(), []
    for one in read_device_code(MemorySource(data), path.name).found:
        for entry in one.module.entries:
            header = int.from_bytes(data[entry.offset + 4:entry.offset + 8], "little")
            found.append((architecture(entry), data[entry.offset + header:entry.offset + header + entry.size]))
    return found


@pytest.mark.parametrize("name", ["compress_default.so", "compress_speed.so", "compress_size.so", "compress_balance.so", "compress_none.so"])
def test_of_a_compiled_library_only_what_is_named_goes(sample_folder, tmp_path, name):
    path = tmp_path / name
    shutil.copyfile(sample_folder / name, path)
    before = entries(path)
    names = sorted({architecture for architecture, _payload in before})
    assert len(names) > 1, names
    for gone in names:
        shutil.copyfile(sample_folder / name, path)
        subprocess.run([sys.executable, str(PROGRAM), gone, str(path)], check=True, stdout=subprocess.DEVNULL)
        assert entries(path) == [(architecture, bytes(len(payload)) if architecture == gone else payload) for architecture, payload in before]


def test_two_thousand_mutations(sample_folder):
    files, choices, reader = pruned_libraries.seeds(sample_folder), random.Random("every run the same"), pruned_libraries.Reader()
    for _number in range(2000):
        reader.read(pruned_libraries.mutate(choices.choice(files), choices))
    counted = reader.counts()
    reader.close()
    assert counted["pieces_emptied"] > 200, "hardly any mutation is understood: nothing was tried"
    assert counted["refused"] > 200, "hardly any mutation is refused: they are too mild"
