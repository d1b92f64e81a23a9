"""Which device code cards do not need. Expected from NVIDIA's rules (CUDA C++ Programming Guide, compute capabilities), written by hand."""
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils import removable_device_code


def test_a_card_of_12_0_needs_its_own_code_its_family_and_ptx_that_is_not_newer():
    gone = removable_device_code.names(["12.0"])
    assert {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_100a", "sm_100f", "sm_103f", "sm_121", "sm_121a", "sm_121f",
            "compute_90a", "compute_100a", "compute_121", "compute_100f"} <= set(gone)
    assert not {"sm_120", "sm_120a", "sm_120f", "compute_120", "compute_120f", "compute_75", "compute_90", "compute_100"} & set(gone)


def test_a_card_of_9_0_runs_code_of_its_major_version_alone():
    gone = removable_device_code.names(["9.0"])
    assert not {"sm_90", "sm_90a", "compute_90", "compute_90a", "compute_80"} & set(gone)
    assert {"sm_89", "sm_100", "sm_120", "compute_100", "compute_120"} <= set(gone)


def test_a_card_of_8_9_runs_code_for_8_0_and_8_6_too():
    gone = removable_device_code.names(["8.9"])
    assert not {"sm_80", "sm_86", "sm_89"} & set(gone) and "sm_90" in gone and "sm_75" in gone


def test_what_one_of_two_cards_runs_stays():
    both = set(removable_device_code.names(["9.0", "12.0"]))
    assert both == set(removable_device_code.names(["9.0"])) & set(removable_device_code.names(["12.0"]))
    assert not {"sm_90a", "sm_120f"} & both and "sm_100f" in both


def test_a_family_that_does_not_exist_stays_because_nobody_knows_who_runs_it():
    gone = removable_device_code.names(["8.6", "12.0"])
    assert {"sm_75", "sm_100f", "compute_121f"} <= set(gone) and not {"sm_80f", "compute_80f", "compute_75f", "sm_90f"} & set(gone)


@pytest.mark.parametrize("capabilities, said", [([], "golden_image_cuda_architectures"), (["120"], "not MAJOR.MINOR")])
def test_nothing_is_taken_out_where_no_card_is_known(capabilities, said):
    with pytest.raises(ValueError, match=said):
        removable_device_code.names(capabilities)
