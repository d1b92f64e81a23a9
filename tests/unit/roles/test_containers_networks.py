"""A container of ours that is on other networks than the inventory gives it is put right by the next run, and told with the command."""
import pytest
import rendering

SPEC = {"name": "oracle", "networks": [{"name": "omni-network", "address": "172.30.0.10"}, {"name": "internal_brain", "address": "172.31.0.10"}]}
RIGHT = {"omni-network": "172.30.0.10", "internal_brain": "172.31.0.10"}


def decided(networks, **more):
    """Whether the service is made anew, and which networks its container leaves."""
    start = rendering.task("inference_service", "tasks/start.yml", "Start the service and prove that it answers")
    container = dict({"name": "oracle", "ours": True, "running": True, "networks": networks}, **more)
    variables = {"_inference_service_spec": SPEC, "_inference_service_unit_is_new": False, "_inference_service_digest": "ab", "bunker_config_path": "/etc/x",
                 "__inference_service_made_by": {"rc": 0, "stdout": "ab"}, "ansible_check_mode": False,
                 "__inference_service_around": {"containers": [dict(container, name="other", networks={"bridge": "172.17.0.2"}), container]}}
    leave = rendering.task("inference_service", "tasks/start.yml", "Leave networks that the inventory does not give it")
    return (rendering.render("inference_service", start["vars"]["_outdated"], variables, start["vars"]),
            rendering.render("inference_service", leave["loop"], variables, start["vars"]))


@pytest.mark.parametrize("networks, anew, left", [
    (RIGHT, False, []), (dict(RIGHT, bridge="172.17.0.3"), False, ["bridge"]), ({"omni-network": "172.30.0.10"}, True, []),
    (dict(RIGHT, internal_brain="172.31.0.99"), True, []), ({}, True, [])],
    ids=["as it should be", "one more", "one is missing", "another address", "none"])
def test_a_further_network_is_left_and_a_missing_one_makes_it_anew(networks, anew, left):
    assert decided(networks) == (anew, left)


def test_a_container_that_does_not_run_is_started_as_it_is_written():
    assert decided({}, running=False) == (False, [])
