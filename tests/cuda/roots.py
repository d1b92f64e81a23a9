"""Root file systems in which the loader has a choice, and what the real loader does in each.

A root holds the real glibc loader and libc of this machine, one program and libraries named libcuda.so.1 in several places. The program prints which of
them it got. LD_DEBUG=libs says the same, except for privileged programs, which ignore it.
"""
import ctypes
import dataclasses
import os
import re
import shutil
import subprocess

LOADER, LIBC = "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"
SYSTEM, USR = "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"
CUDA = "libcuda.so.1"
LIBC_CALLS = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000  # sched.h, sys/mount.h
PROGRAM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#ifdef THROUGH
extern void *ask(void);
#endif
int main(void) {
#if defined(THROUGH)
    void *which = ask();
#elif defined(OPEN)
    void *handle = dlopen(OPEN, RTLD_NOW);
    void *which = handle ? dlsym(handle, "cuda_which") : 0;
#else
    extern int cuda_which(void);
    void *which = (void *)cuda_which;
#endif
    Dl_info found;
    if (!which || !dladdr(which, &found)) { puts(dlerror()); return 1; }
    printf("got %s\\n", found.dli_fname);
    return 0;
}
"""
LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
extern int cuda_which(void);
void *ask(void) {
#ifdef OPEN
    void *handle = dlopen(OPEN, RTLD_NOW);
    return handle ? dlsym(handle, "cuda_which") : 0;
#else
    return dlsym(RTLD_DEFAULT, "cuda_which");
#endif
}
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """One root.

    name · files: pairs of path and content (lib, other: a library with another SONAME, 32, arm, text, empty, folder, or "-> TARGET" for a link) ·
    how: needed, opened, library-needed or library-opened: who asks for libcuda.so.1 · program, library: linker flags ·
    environment · cwd · conf: lines of /etc/ld.so.conf; None: no cache at all · after: paths removed once the cache is written
    """

    name: str
    files: tuple
    how: str = "opened"
    program: str = ""
    library: str = ""
    environment: tuple = ()
    cwd: str = "/"
    conf: tuple = None
    after: tuple = ()
    setuid: bool = False


def rpath(path):
    return "-Wl,--disable-new-dtags,-rpath,%s" % path


def runpath(path):
    return "-Wl,--enable-new-dtags,-rpath,%s" % path


def at(*folders, kind="lib"):
    return tuple((folder + "/" + CUDA, kind) for folder in folders)


def variable(text):
    return (("LD_LIBRARY_PATH", text),)


def cases():
    """At least sixty."""
    result = []

    def add(name, files, **other):
        result.append(Case(name, tuple(files), **other))
    every = at("/one", "/two", "/three", USR)
    for how in ("needed", "opened", "library-needed", "library-opened"):
        add("system only, " + how, at(USR), how=how)
        add("nothing, " + how, (), how=how)
        add("rpath before the variable, " + how, every, how=how, program=rpath("/one"), environment=variable("/two"))
        add("the variable before runpath, " + how, every, how=how, program=runpath("/one"), environment=variable("/two"))
        add("runpath before system, " + how, every, how=how, program=runpath("/one"))
        add("cache before system, " + how, every, how=how, conf=("/three",))
        add("the variable before the cache, " + how, every, how=how, conf=("/three",), environment=variable("/two"))
        add("rpath with origin, " + how, at("/opt/bin/lib", USR), how=how, program=rpath("$ORIGIN/lib"))
        add("default library folders off, " + how, at(USR, "/one"), how=how,
            program="-Wl,-z,nodefaultlib " + runpath("/one:/lib/x86_64-linux-gnu:/usr/lib"))
    for how in ("library-needed", "library-opened"):
        add("rpath of the library, " + how, every, how=how, library=rpath("/one"), environment=variable("/two"))
        add("rpath of the program reaches through, " + how, every, how=how, program=rpath("/one:/usr/lib"))
        add("runpath of the library hides the program's rpath, " + how, every, how=how, program=rpath("/one:/usr/lib"), library=runpath("/three"))
        add("runpath of the program does not reach through, " + how, every, how=how, program=runpath("/one:/usr/lib"))
        add("origin of the library, " + how, at("/usr/lib/near", USR), how=how, library=runpath("$ORIGIN/near"))
        add("library without default folders, " + how, at(USR), how=how, library="-Wl,-z,nodefaultlib")
        add("library without default folders, cached, " + how, at(USR, "/one"), how=how, library="-Wl,-z,nodefaultlib", conf=("/one",))
    for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v9"):
        folder = "/glibc-hwcaps/" + level
        add("hwcaps in the variable, " + level, at("/two", "/two" + folder), environment=variable("/two"))
        add("hwcaps in the system folder, " + level, at(USR, USR + folder))
        add("hwcaps in the cache, " + level, at("/one", "/three" + folder), conf=("/one", "/three"))
        add("hwcaps in runpath, " + level, at("/one", "/one" + folder), program=runpath("/one"))
    add("hwcaps of a later folder do not beat an earlier one", at("/one", "/two/glibc-hwcaps/x86-64-v2"), environment=variable("/one:/two"))
    for kind in ("32", "arm", "text", "empty", "folder"):
        add("%s in the way, variable" % kind, at("/one", kind=kind) + at("/two", USR), environment=variable("/one:/two"))
        add("%s in the way, runpath" % kind, at("/one", kind=kind) + at(USR), program=runpath("/one"))
    add("%s in the way, system" % "32", at(SYSTEM, kind="32") + at("/usr/lib"))
    add("a dangling link in the way", at("/one", kind="-> /nowhere") + at("/two"), environment=variable("/one:/two"))
    add("a link that climbs out", at("/one", kind="-> ../../../../../../../three/" + CUDA) + at("/three"), environment=variable("/one"))
    add("an absolute link", at("/one", kind="-> /three/libcuda.so.9") + (("/three/libcuda.so.9", "lib"),), environment=variable("/one"))
    add("a chain of links", at("/one", kind="-> a") + (("/one/a", "-> b"), ("/one/b", "-> ../three/" + CUDA)) + at("/three"), environment=variable("/one"))
    add("a circle of links", at("/one", kind="-> a") + (("/one/a", "-> " + CUDA),) + at(USR), environment=variable("/one"))
    add("a folder that is a link", (("/one", "-> /three"),) + at("/three"), environment=variable("/one"))
    add("a stale cache", at("/one", USR), conf=("/one",), after=("/one/" + CUDA,))
    add("no cache file", at(USR), after=("/etc/ld.so.cache",))
    add("first line of the cache wins", at("/one", "/two"), conf=("/two", "/one"))
    add("an empty element is the working folder", at("/one", USR), environment=variable(":/two"), cwd="/one")
    add("an empty element at the end", at("/one", USR), environment=variable("/two:"), cwd="/one")
    add("a wholly empty variable", at("/one", USR), environment=variable(""), cwd="/one")
    add("a semicolon separates", every, environment=variable("/none;/two"))
    add("a relative element", at("/one/sub", USR), environment=variable("sub"), cwd="/one")
    add("a slash at the end", at("/one", USR), environment=variable("/one//"))
    add("origin in the variable", at("/opt/bin/near", USR), environment=variable("$ORIGIN/near"))
    add("origin in braces", at("/opt/bin/near", USR), program=runpath("${ORIGIN}/near"))
    add("lib in runpath", at("/one/lib/x86_64-linux-gnu", USR), program=runpath("/one/$LIB"))
    add("preloaded", at("/one", USR), environment=(("LD_PRELOAD", "/one/" + CUDA),))
    add("preloaded under another name", (("/one/other.so", "lib"),) + at(USR), environment=(("LD_PRELOAD", "/one/other.so"),))
    add("preloaded with another soname", (("/one/other.so", "other"),) + at(USR), environment=(("LD_PRELOAD", "/one/other.so"),))
    add("preloaded by file", (("/one/other.so", "lib"), ("/etc/ld.so.preload", "line /one/other.so")) + at(USR))
    add("setuid ignores the variable", every, environment=variable("/two"), setuid=True)
    add("setuid keeps runpath", every, program=runpath("/one"), setuid=True)
    add("setuid ignores origin", at("/opt/bin/near", USR), program=runpath("$ORIGIN/near"), setuid=True)
    return result


class Builder:
    """Makes roots; what the compiler makes is kept within one session.

    :param folder: pathlib.Path, empty.
    """

    def __init__(self, folder):
        self.folder = folder
        (folder / "objects").mkdir()
        (folder / "program.c").write_text(PROGRAM)
        (folder / "library.c").write_text(LIBRARY)
        (folder / "which.c").write_text("int cuda_which(void) { return 1; }\n")
        self.lib, self.other = (self._compile(soname, "-shared", "-fPIC", "-nostdlib", "-Wl,-soname," + soname, folder / "which.c")
                                for soname in (CUDA, "libother.so"))

    def _compile(self, name, *arguments):
        target = self.folder / "objects" / name
        if not target.exists():
            subprocess.run(["gcc", "-o", str(target), *map(str, arguments)], check=True)
        return target

    def _flags(self, text):
        return [flag for flag in text.split(" ") if flag]

    def program(self, case):
        """(program, library or None) of a case."""
        name = re.sub(r"\W", "_", case.how + case.program + "--" + case.library)
        library = None
        libraries = []
        if case.how.startswith("library"):
            opened = case.how == "library-opened"
            asks = ['-DOPEN="%s"' % CUDA] if opened else ["-Wl,--no-as-needed", self.lib]
            library = self._compile(name + ".so", "-shared", "-fPIC", "-Wl,-soname,libasks.so", self.folder / "library.c",
                                    *self._flags(case.library), *asks)
            libraries = [library, "-Wl,--allow-shlib-undefined"]
            define = ["-DTHROUGH"]
        elif case.how == "opened":
            define = ['-DOPEN="%s"' % CUDA]
        else:
            define, libraries = [], ["-Wl,--no-as-needed", self.lib]
        return self._compile(name, self.folder / "program.c", *define, *libraries, *self._flags(case.program)), library

    def root(self, case, number):
        """The folder of a case's root."""
        root = self.folder / ("root-%s" % number)
        for path in (LOADER, LIBC):
            self._copy(os.path.realpath(path), root, path)
        program, library = self.program(case)
        self._copy(program, root, "/opt/bin/program")
        if library:
            self._copy(library, root, "/usr/lib/libasks.so")
        for path, kind in case.files:
            self._place(root, path, kind)
        (root / "etc").mkdir(exist_ok=True)
        for folder in ("/one", "/two", "/three", "/one/sub"):
            if case.cwd == folder:
                (root / folder[1:]).mkdir(parents=True, exist_ok=True)
        if case.conf is not None:
            (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
            (root / "etc/ld.so.conf.d").mkdir()
            (root / "etc/ld.so.conf.d/case.conf").write_text("\n".join(case.conf) + "\n")
        if case.conf is not None or case.after:
            subprocess.run(["/sbin/ldconfig", "-r", str(root), "-X"], check=True, stderr=subprocess.DEVNULL)
        for path in case.after:
            (root / path[1:]).unlink()
        if case.setuid:
            (root / "opt/bin/program").chmod(0o4755)
        return root

    def _copy(self, source, root, path):
        target = root / str(path)[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)

    def _place(self, root, path, kind):
        target = root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind.startswith("-> "):
            target.symlink_to(kind[3:])
        elif kind == "folder":
            target.mkdir()
        elif kind.startswith("line "):
            target.write_text(kind[5:] + "\n")
        elif kind in ("text", "empty"):
            target.write_text("this is no library, but it is longer than an ELF header is, by some bytes\n" if kind == "text" else "")
        else:
            data = bytearray((self.other if kind == "other" else self.lib).read_bytes())
            if kind == "32":
                data[4] = 1
            if kind == "arm":
                data[18:20] = (183).to_bytes(2, "little")
            target.write_bytes(bytes(data))


def real_loader(root, case):
    """The path that the real loader took, or None; and what LD_DEBUG=libs said."""
    (root / "proc").mkdir()

    def enter():
        # In a mount namespace that ends with the program; the loader reads its own place, $ORIGIN, from /proc.
        for result in (LIBC_CALLS.unshare(CLONE_NEWNS), LIBC_CALLS.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
                       LIBC_CALLS.mount(b"/proc", os.fsencode(root / "proc"), None, MS_BIND, None)):
            assert result == 0, os.strerror(ctypes.get_errno())
        os.chroot(root)
        os.chdir(case.cwd)
        if case.setuid:
            os.setgid(65534)
            os.setuid(65534)
    done = subprocess.run(["/opt/bin/program"], env=dict(case.environment, LD_DEBUG="libs"), preexec_fn=enter, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
    match = re.search(r"^got (.*)$", done.stdout, re.MULTILINE)
    return (match.group(1) if match else None), done.stderr


def chosen_in(debug):
    """Paths of all libraries that were initialised, from LD_DEBUG=libs."""
    return re.findall(r"calling init: (\S+)", debug)
