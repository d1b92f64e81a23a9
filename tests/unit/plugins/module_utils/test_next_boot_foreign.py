"""Which kernel boots next, of files as other distributions, owners and newer boot loaders write them; an exception never."""
import itertools

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import next_boot

OLD, NEW = "6.8.0-45-generic", "6.8.0-50-generic"
MENU = """menuentry 'First' $menuentry_id_option 'first' {
\tlinux /vmlinuz-%s root=UUID=1 ro
}
menuentry 'Second one' --class x $menuentry_id_option 'second' {
%%s
}
""" % NEW
DEFAULTS, MENU_PATH, ENVIRONMENT = "/etc/default/grub", "/boot/grub/grub.cfg", "/boot/grub/grubenv"


def boots(there):
    """Of a dict of path to text."""
    parts = [path.rpartition("/")[::2] for path in sorted(there)]
    return next_boot.pinned(lambda path: there.get(path, ""), lambda folder: [name for parent, name in parts if parent == folder])


def second(line, **more):
    return boots({DEFAULTS: "GRUB_DEFAULT=1\n", MENU_PATH: MENU % line, **more})


@pytest.mark.parametrize("line", [
    "GRUB_DEFAULT=1 # the old one", 'GRUB_DEFAULT="1"   # it\'s "old"', "GRUB_DEFAULT='second'\t# x", 'export GRUB_DEFAULT="Second one"',
    "GRUB_DEFAULT=Second\\ one",
    "GRUB_DEFAULT='Second'\" one\"", "GRUB_DEFAULT=1;GRUB_TIMEOUT=3", 'GRUB_DEFAULT=1\r', "GRUB_DEFAULT=0\n  GRUB_DEFAULT=1"])
def test_a_default_as_a_shell_reads_it(line):
    assert boots({DEFAULTS: line + "\nGRUB_TIMEOUT=5\n", MENU_PATH: MENU % ("linux /vmlinuz-%s" % OLD)}) == OLD


@pytest.mark.parametrize("line", ["GRUB_DEFAULT=0 # the new one", 'GRUB_DEFAULT="0" # x', "GRUB_DEFAULT= # first", "GRUB_DEFAULT=saved # grub-set-default"])
def test_the_first_entry_is_the_newest_also_with_a_comment(line):
    assert boots({DEFAULTS: line + "\n", MENU_PATH: MENU % ("linux /vmlinuz-%s" % OLD)}) == ""


@pytest.mark.parametrize(("saved", "title"), [
    ("Second one", "'Second one'"), ("It's # one", "'It'\\''s # one'"), ('the "old" one', "'the \"old\" one'"), ("a>>b", "'a>b'"), ("the old", '"the old"')])
def test_a_saved_entry_with_what_a_shell_would_cut(saved, title):
    menu = MENU % "linux /vmlinuz-1.0.0" + "menuentry %s --class gnu {\n linux /vmlinuz-%s\n}\n" % (title, OLD)
    if saved == "Second one":
        menu = MENU % ("linux /vmlinuz-%s" % OLD)
    there = {DEFAULTS: "GRUB_DEFAULT=saved # x\n", MENU_PATH: menu, ENVIRONMENT: "# GRUB Environment Block\nsaved_entry=%s\n#####" % saved}
    assert boots(there) == OLD


@pytest.mark.parametrize("line", [
    "linux /vmlinuz-%s root=x", "linux\t/boot/vmlinuz-%s", "linux ($root)/vmlinuz-%s root=x", "linux ($root)/boot/vmlinuz-%s",
    'linux "/boot/vmlinuz-%s" root=x',
    "linux /@/boot/vmlinuz-%s", "linux16 /vmlinuz-%s", "linuxefi /vmlinuz-%s", "linux (hd0,gpt2)/vmlinuz-%s", "linux /boot/vmlinuz-%s.efi.signed",
    "linux /boot/kernel-%s", "linux vmlinuz-%s", "linux /debian/%s/linux",
    "multiboot2 /boot/xen.gz x\nmodule2 /boot/vmlinuz-%s placeholder\nmodule2 --nounzip /boot/initrd.img-1"])
def test_a_kernel_where_it_lies(line):
    assert second(line % OLD) == OLD


@pytest.mark.parametrize("line", ["linux /boot/vmlinuz-linux root=x", "linux /boot/vmlinuz", "linux $kernel", "linux", "linux /boot/vmlinuz-../../x",
                                  "linux /vmlinuz--6"])
def test_a_name_without_a_release_names_none(line):
    assert second(line) == ""


def test_an_entry_that_stands_in_one_line_ends_there():
    menu = "menuentry 'a' { linux /vmlinuz-%s; }\nmenuentry 'b' { linux /vmlinuz-%s; initrd /x; }\nmenuentry 'c' {\n linux /vmlinuz-1.0\n}\n" % (NEW, OLD)
    assert boots({DEFAULTS: "GRUB_DEFAULT=1\n", MENU_PATH: menu}) == OLD
    assert boots({DEFAULTS: "GRUB_DEFAULT=2\n", MENU_PATH: menu}) == "1.0"


def test_a_brace_on_a_line_of_its_own_and_a_comment_are_read():
    menu = "menuentry 'a'\n{\n linux /vmlinuz-%s\n} # a\n# menuentry 'no' {\nmenuentry 'b' # x {\n{\n linux /vmlinuz-%s\n}\n" % (NEW, OLD)
    assert boots({DEFAULTS: "GRUB_DEFAULT=1\n", MENU_PATH: menu}) == OLD


def test_the_folder_that_others_have_for_grub():
    there = {DEFAULTS: "GRUB_DEFAULT=saved\n",
             "/boot/grub2/grub.cfg": MENU % ("linux /vmlinuz-%s" % OLD), "/boot/grub2/grubenv": "saved_entry=second\n"}
    assert boots(there) == OLD


def test_a_saved_entry_of_the_boot_loader_specification():
    there = {DEFAULTS: "GRUB_DEFAULT=saved\nGRUB_ENABLE_BLSCFG=true\n", "/boot/grub2/grub.cfg": "blscfg\n",
             "/boot/grub2/grubenv": "saved_entry=1f2e-%s\n" % OLD,
             "/boot/loader/entries/1f2e-%s.conf" % OLD: "title x\nversion %s\nlinux /vmlinuz-%s\n" % (OLD, OLD),
             "/boot/loader/entries/1f2e-%s.conf" % NEW: "title x\nversion %s\nlinux /vmlinuz-%s\n" % (NEW, NEW)}
    assert boots(there) == OLD


def test_the_kernel_that_stands_at_the_top_of_the_menu():
    assert boots({DEFAULTS: 'GRUB_DEFAULT=0\nGRUB_TOP_LEVEL="/boot/vmlinuz-%s" # x\n' % OLD}) == OLD
    assert boots({DEFAULTS: "GRUB_DEFAULT=1\nGRUB_TOP_LEVEL=/boot/vmlinuz-%s\n" % NEW, MENU_PATH: MENU % ("linux /vmlinuz-%s" % OLD)}) == OLD


# --- systemd-boot

def entries(*names, folder="/boot/loader"):
    text = "title Debian\nlinux /debian/x/linux\nversion %s\n"
    return {"%s/entries/%s" % (folder, name): text % name.removeprefix("debian-").partition(".conf")[0].partition("+")[0] for name in names}


@pytest.mark.parametrize("default", ["debian-%s.conf", "debian-%s", "debian-*-45-*", "DEBIAN-%s.conf", "debian-%s.conf   "])
@pytest.mark.parametrize("name", ["debian-%s+3-0.conf", "debian-%s+3.conf", "debian-%s+0-3.conf", "debian-%s.conf"])
def test_an_entry_that_counts_its_tries(default, name):
    default = default % OLD if "%" in default else default
    assert boots({"/boot/loader/loader.conf": "default %s\n" % default, **entries(name % OLD, "debian-%s+3.conf" % NEW)}) == OLD


def test_of_a_pattern_the_newest_by_number_counts_and_one_that_failed_last():
    loader = {"/efi/loader/loader.conf": "default debian-*\n"}
    assert boots({**loader, **entries("debian-6.8.0-9.conf", "debian-6.8.0-50.conf", folder="/efi/loader")}) == "6.8.0-50"
    assert boots({**loader, **entries("debian-6.8.0-9.conf", "debian-6.8.0-50+0-3.conf", folder="/efi/loader")}) == "6.8.0-9"


@pytest.mark.parametrize(("default", "name"), [
    ("debian-%s.efi", "debian-%s.efi"), ("debian-%s.efi", "debian-%s+3-0.efi"), ("debian-*-45-*", "debian-%s+2.efi"), ("1f2e-%s.efi", "1f2e-%s.efi"),
    ("linux-%s", "linux-%s.efi")])
@pytest.mark.parametrize("folder", ["/boot", "/efi", "/boot/efi"])
def test_a_unified_kernel_image_tells_its_release_by_its_name(default, name, folder):
    assert boots({folder + "/loader/loader.conf": "default " + (default % OLD if "%" in default else default),
                  "%s/EFI/Linux/%s" % (folder, name % OLD): "MZ\0", folder + "/EFI/Linux/debian-%s.efi" % NEW: "MZ\0"}) == OLD


def test_a_unified_kernel_image_without_a_release_in_its_name_names_none():
    assert boots({"/efi/loader/loader.conf": "default arch-linux.efi\n", "/efi/EFI/Linux/arch-linux.efi": "MZ"}) == ""


def variable(text):
    """As efivarfs gives it: four bytes of attributes, then UTF-16 with a NUL."""
    return (b"\7\0\0\0" + (text + "\0").encode("utf-16-le")).decode("utf-8", "replace")


@pytest.mark.parametrize(("name", "configured"), [
    ("OneShot", "default debian-%s*" % NEW), ("Default", "default debian-%s*" % NEW), ("LastBooted", "default @saved")])
def test_what_bootctl_set_counts_before_the_file(name, configured):
    path = "/sys/firmware/efi/efivars/LoaderEntry%s-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f" % name
    there = {"/boot/loader/loader.conf": configured.replace("%s", NEW) + "\n", path: variable("debian-%s.conf" % OLD)}
    assert boots({**there, **entries("debian-%s+3.conf" % OLD, "debian-%s.conf" % NEW)}) == OLD


def test_a_release_is_never_what_a_command_would_stumble_over():
    for pin in ("-x", "\0", "6.8\0", "../../etc", "6.8 x\n", "\udcff", "$(x)"):
        assert boots({"/etc/kernel/proxmox-boot-pin": pin}) in ("", "6.8")
        assert boots({"/boot/loader/loader.conf": "default a\n", "/boot/loader/entries/a.conf": "version %s\n" % pin}) in ("", "6.8")
        assert second("linux /vmlinuz-" + pin) in ("", "6.8")


def test_nothing_that_lies_in_these_files_raises():
    pieces = ["menuentry", "submenu", "'", '"', "{", "}", "\n", " ", "linux", "/vmlinuz-6.1", "\\", "#", ">", "\0", "--id", "=", "1", "default", "["]
    texts = ["".join(chosen) for chosen in itertools.islice(itertools.product(pieces, repeat=4), 0, None, 151)]
    found = [boots({
        DEFAULTS: "GRUB_DEFAULT=%s\n%s" % (default, text), MENU_PATH: text, ENVIRONMENT: text, "/boot/loader/loader.conf": "default " + text,
        "/boot/loader/entries/a.conf": text, "/efi/loader/loader.conf": text, "/efi/EFI/Linux/%s.efi" % text.replace("/", ""): ""})
        for text in texts for default in ("1>2", text.replace("\n", ""))]
    assert len(found) > 1500 and {type(release) for release in found} == {str}
