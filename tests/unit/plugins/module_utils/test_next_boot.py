"""Which kernel a boot loader was told to boot: files as proxmox-boot-tool, update-grub and kernel-install write them."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import next_boot

MENU = """
set default="${saved_entry}"
function savedefault {
  if [ -z "${boot_once}" ]; then
    save_env saved_entry
  fi
}
menuentry 'Ubuntu' --class ubuntu --class os $menuentry_id_option 'gnulinux-simple-1f2e' {
\trecordfail
\tif [ "${grub_platform}" = xen ]; then insmod xzio; fi
\tlinux\t/boot/vmlinuz-6.8.0-50-generic root=UUID=1f2e ro
}
submenu 'Advanced options for Ubuntu' $menuentry_id_option 'gnulinux-advanced-1f2e' {
\tmenuentry 'Ubuntu, with Linux 6.8.0-50-generic' --class os $menuentry_id_option 'gnulinux-6.8.0-50-generic-advanced-1f2e' {
\t\tlinux /boot/vmlinuz-6.8.0-50-generic root=UUID=1f2e ro
\t}
\tmenuentry 'Ubuntu, with Linux 6.8.0-50-generic (recovery mode)' $menuentry_id_option 'gnulinux-6.8.0-50-generic-recovery-1f2e' {
\t\tlinux /boot/vmlinuz-6.8.0-50-generic root=UUID=1f2e ro recovery
\t}
\tmenuentry 'Ubuntu, with Linux 6.8.0-45-generic' --class os $menuentry_id_option 'gnulinux-6.8.0-45-generic-advanced-1f2e' {
\t\tlinux\t/boot/vmlinuz-6.8.0-45-generic root=UUID=1f2e ro
\t}
}
menuentry "Memory test" {
\tlinux16 /boot/memtest86+x64.bin
}
menuentry 'my kernel' --id mine {
\tlinux /vmlinuz-6.18.0-mine root=LABEL=root
}
"""
OLD = "6.8.0-45-generic"


def boots(**files):
    """With the content of files, by a short name for each."""
    paths = {"grub": "/etc/default/grub", "more": "/etc/default/grub.d/50-cloud.cfg", "environment": "/boot/grub/grubenv", "menu": "/boot/grub/grub.cfg",
             "pin": "/etc/kernel/proxmox-boot-pin", "once": "/etc/kernel/next-boot-pin", "loader": "/boot/loader/loader.conf",
             "old": "/boot/loader/entries/debian-6.8.0-45-generic.conf", "new": "/boot/loader/entries/debian-6.8.0-50-generic.conf"}
    there = {paths[name]: content for name, content in files.items()}
    parts = [path.rpartition("/")[::2] for path in sorted(there)]
    return next_boot.pinned(lambda path: there.get(path, ""), lambda folder: [name for parent, name in parts if parent == folder])


@pytest.mark.parametrize("default, release", [
    ("0", ""), ('""', ""), ("1", "6.8.0-50-generic"), ('"1>2"', OLD), ("'1>0'", "6.8.0-50-generic"), ("3", "6.18.0-mine"), ("mine", "6.18.0-mine"),
    ('"Advanced options for Ubuntu>Ubuntu, with Linux 6.8.0-45-generic"', OLD), ("gnulinux-advanced-1f2e>gnulinux-6.8.0-45-generic-advanced-1f2e", OLD),
    ('"my kernel"', "6.18.0-mine"), ("2", ""), ("9", ""), ('"Advanced options for Debian>Debian, with Linux 6.1.0-28-amd64"', "6.1.0-28-amd64"), ("saved", ""),
])
def test_the_default_of_grub_by_number_title_and_id(default, release):
    assert boots(grub="GRUB_TIMEOUT=5\nGRUB_DEFAULT=%s\n" % default, menu=MENU) == release


def test_what_grub_saved_counts_and_what_it_boots_once_counts_first():
    saved = "# GRUB Environment Block\nsaved_entry=gnulinux-advanced-1f2e>gnulinux-6.8.0-45-generic-advanced-1f2e\n"
    assert boots(grub="GRUB_DEFAULT=saved\n", menu=MENU, environment=saved + "###") == OLD
    assert boots(grub="GRUB_DEFAULT=0\n", menu=MENU, environment=saved) == ""
    assert boots(grub="GRUB_DEFAULT=0\n", menu=MENU, environment=saved + "next_entry=mine\n") == "6.18.0-mine"
    assert boots(grub="GRUB_DEFAULT=0\n#GRUB_DEFAULT=mine\n", more="GRUB_DEFAULT=mine\n", menu=MENU) == "6.18.0-mine"


def test_without_its_menu_the_name_of_the_entry_tells_it():
    assert boots(grub='GRUB_DEFAULT="1>Ubuntu, with Linux 6.8.0-45-generic"\n') == OLD
    assert boots(grub="GRUB_DEFAULT=gnulinux-advanced-1>gnulinux-6.8.0-45-generic-advanced-1\n") == OLD
    assert boots(grub="GRUB_DEFAULT=1>2\n") == "" and boots() == ""


def test_a_pin_of_proxmox_counts_before_grub_and_the_one_for_the_next_boot_before_it():
    assert boots(pin="6.14.11-4-pve\n", grub="GRUB_DEFAULT=mine\n", menu=MENU) == "6.14.11-4-pve"
    assert boots(pin="6.14.11-4-pve\n", once="6.8.12-9-pve\n") == "6.8.12-9-pve"


@pytest.mark.parametrize("default, release", [
    ("debian-6.8.0-45-generic.conf", OLD), ("debian-6.8.0-45-generic", OLD), ("debian-*", "6.8.0-50-generic"), ("@saved", ""), ("windows.conf", "")])
def test_the_default_of_systemd_boot_is_a_pattern(default, release):
    entry = "title Debian\nversion %s\nlinux /debian/%s/linux\n"
    entries = {"old": entry % (OLD, OLD), "new": "title Debian\nlinux /vmlinuz-6.8.0-50-generic\n"}
    assert boots(loader="timeout 3\n#default x\ndefault %s\n" % default, **entries) == release


def test_what_no_boot_loader_writes_breaks_nothing():
    for text in ("}\n}\n}", "menuentry", "submenu 'a' {", "menuentry 'x' {\n linux\n}", "\0", "linux /vmlinuz-1 x\n" * 3):
        assert boots(grub="GRUB_DEFAULT=1>2\n", menu=text) == ""


@pytest.mark.parametrize("configuration, names", [
    ("install nvidia modprobe -i nvidia-current-open $CMDLINE_OPTS\n", ["nvidia-current-open"]),
    ("install nvidia modprobe --ignore-install nvidia-current $CMDLINE_OPTS\noptions x y=1\n", ["nvidia-current"]),
    ("install nvidia-drm modprobe -i nvidia-current-drm\n", ["nvidia", "nvidia-current-open", "nvidia-current"]),
    ("", ["nvidia", "nvidia-current-open", "nvidia-current"])])
def test_the_names_that_the_module_goes_by(configuration, names):
    assert next_boot.module_names(configuration) == names


@pytest.mark.parametrize("said, known", [
    ("/var/lib/dkms/mok.pub is already enrolled\n", True), ("/var/lib/dkms/mok.pub is not enrolled\n", False),
    ("EFI variables are not supported on this system\n", None)])
def test_what_mokutil_says_of_a_certificate(said, known):
    assert next_boot.enrolled(said) is known


@pytest.mark.parametrize("saved, release", [
    # grub-set-default takes titles too; grub-reboot's entry goes before it, and is empty once it was booted
    ("saved_entry=Advanced options for Ubuntu>Ubuntu, with Linux 6.8.0-45-generic\nnext_entry=\n", OLD), ("saved_entry=1>2\n", OLD), ("saved_entry=0\n", ""),
    ("saved_entry=x, with Linux 6.8.0-45-generic\nnext_entry=x>x, with Linux 6.8.0-41-generic\n", "6.8.0-41-generic")])
def test_what_grub_saved_may_be_a_title_or_a_number(saved, release):
    assert boots(grub="GRUB_DEFAULT=0\n", more="GRUB_DEFAULT=saved\n", menu=MENU, environment=saved) == release


def test_what_stands_in_grub_d_counts_last():
    assert boots(grub='GRUB_DEFAULT="x>x, with Linux 6.8.0-45-generic"\n', more="GRUB_DEFAULT=0\n", menu=MENU) == ""
