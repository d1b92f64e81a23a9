"""The last: what site.yml made is removed, what is dear stays."""


def test_teardown_removes_the_services_and_keeps_the_models(site, second):
    engine = site.engine()
    engine.images.get(site.image).tag(site.image.split(":")[0], "of-earlier-inputs")
    site.run("playbooks/teardown.yml").assert_ok()
    assert engine.containers.list(all=True) == []
    assert not {"omni-network", "internal_brain"} & {network.name for network in engine.networks.list()}
    assert not [tag for image in engine.images.list() for tag in image.tags if tag.startswith("omni/")]
    assert site.execute("ls /srv/models/smollm2-135m-instruct-q4_1/*.gguf")[0] == 0
    assert site.execute("ls /etc/protocol_omni /etc/systemd/system/protocol-omni-oracle.service")[0] != 0
    assert site.execute("ls -d /usr/local/lib/protocol_omni")[0] != 0
    left = site.execute("nft list tables; systemctl list-units --all --no-legend 'protocol-omni-*'; ls /etc/systemd/system/docker.service.d; "
                        "getent passwd protocol-omni-gateway protocol-omni-observability; ls -d /var/lib/protocol-omni-prometheus 2>/dev/null")[1]
    assert site.execute("ls -d /opt/protocol_omni /var/lib/protocol_omni /etc/ansible/facts.d/protocol_omni.fact /usr/local/bin/bunker-status "
                        "/usr/local/bin/bunker-usage /var/lib/protocol-omni-gateway /run/protocol-omni-vram-watch*")[1].count("No such file") == 7
    assert "bunker_seal" not in left and "protocol-omni" not in left
    assert site.execute("systemctl is-active docker")[1].strip() == "active"  # it no longer requires the seal
    assert site.run("playbooks/teardown.yml").assert_ok().changed == set()
