"""Make the guest's kernel and initramfs from Debian packages.

This kernel may lack PPP and L2TP, so a real pppd behind a real xl2tpd runs in
a small machine of its own: the kernel of Debian's linux-image-amd64 and an
initramfs of busybox, xl2tpd and pppd.  The packages are fetched with "apt-get
download" and unpacked with "dpkg -x"; nothing of them is installed on this
machine.  The result is kept in a directory and made again only when this file
or guest_init.sh changed.

Run as a program it builds into build/guest: a way to see what went wrong.
"""

import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

# Loaded at boot, with what they depend on.
MODULES = ["virtio_pci", "virtio_console", "virtio_rng", "virtio_net",
           "af_packet", "ppp_async", "ppp_deflate", "bsd_comp"]
# In the image for those who want them: PPP over L2TP inside the kernel.
MODULES_LATER = ["l2tp_ppp"]

PROGRAMS = ["usr/sbin/pppd", "usr/sbin/xl2tpd", "usr/sbin/xl2tpd-control"]
# Of this machine: Debian's util-linux, which is never missing.
HOST_PROGRAMS = ["usr/sbin/ldattach"]
PLUGINS = ["pppol2tp.so", "openl2tp.so"]


class ImageError(Exception):
    """The image could not be made; the text says why."""


def run(argv, cwd=None, timeout=300):
    """Run a command, return its stdout; ImageError with its stderr."""
    done = subprocess.run(argv, cwd=cwd, timeout=timeout, text=True,
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise ImageError("%s: exit %d\n%s" % (
            " ".join(argv), done.returncode, done.stderr.strip()))
    return done.stdout


class Cpio:
    """A cpio archive in the "newc" format, which is what the kernel reads."""

    def __init__(self):
        self.blob = bytearray()
        self.inode = 0
        self.dirs = set()

    def entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0,
                  rdev[0], rdev[1], len(raw), 0)
        self.blob += b"070701" + b"".join(b"%08X" % f for f in fields)
        self.blob += raw
        self.pad()
        self.blob += data
        self.pad()

    def pad(self):
        self.blob += b"\0" * (-len(self.blob) % 4)

    def directory(self, name):
        """A directory and those above it, each once."""
        if not name or name in self.dirs:
            return
        self.directory(os.path.dirname(name))
        self.dirs.add(name)
        self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        self.directory(os.path.dirname(name))
        self.entry(name, stat.S_IFREG | mode, data)

    def copy(self, name, path, mode=0o755):
        with open(path, "rb") as f:
            self.file(name, f.read(), mode)

    def link(self, name, target):
        self.directory(os.path.dirname(name))
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self.directory(os.path.dirname(name))
        self.entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def done(self):
        self.entry("TRAILER!!!", 0)
        return bytes(self.blob)


def kernel_package():
    """The package with the kernel itself, that linux-image-amd64 is for."""
    text = run(["apt-cache", "depends", "linux-image-amd64"])
    found = re.search(r"Depends: (linux-image-\d\S+-amd64)\s", text)
    if not found:
        raise ImageError("no kernel package in:\n" + text)
    return found.group(1)


def fetch(into):
    """Download and unpack the packages below the directory into."""
    names = ["xl2tpd", "ppp", "busybox-static"]
    get = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"]
    try:
        run(get + [kernel_package()] + names, cwd=into)
    except ImageError:
        # Old package lists name files that the mirror has no more.
        run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"])
        run(get + [kernel_package()] + names, cwd=into)
    root = os.path.join(into, "root")
    for deb in os.listdir(into):
        if deb.endswith(".deb"):
            run(["dpkg", "-x", os.path.join(into, deb), root])
    return root


def module_files(root):
    """Name of a module -> its file."""
    files = {}
    for where, _, names in os.walk(os.path.join(root, "lib/modules")):
        for name in names:
            if name.endswith(".ko"):
                files[name[:-3].replace("-", "_")] = os.path.join(where, name)
    if not files:
        raise ImageError("the kernel package has no plain .ko modules")
    return files


def module_order(wanted, files):
    """The modules wanted and what they depend on, in an order that loads."""
    order = []

    def visit(name):
        if name in order:
            return
        if name not in files:
            raise ImageError("the kernel package has no module " + name)
        with open(files[name], "rb") as f:
            found = re.search(rb"\0depends=([^\0]*)\0", f.read())
        for other in found.group(1).decode().split(",") if found else ():
            if other:
                visit(other.replace("-", "_"))
        order.append(name)

    for name in wanted:
        # Built into this kernel: nothing to load.
        if name == "af_packet" and name not in files:
            continue
        visit(name)
    return order


def libraries(programs):
    """The shared libraries that the programs need, from this machine."""
    found = set()
    for program in programs:
        for line in run(["ldd", program]).splitlines():
            if "not found" in line:
                raise ImageError("%s needs %s" % (program, line.strip()))
            path = re.search(r"(/\S+) \(0x", line)
            if path:
                found.add(path.group(1))
    return sorted(found)


def initramfs(root):
    """The packed initramfs."""
    cpio = Cpio()
    for name in ("bin", "sbin", "dev", "proc", "sys", "tmp", "run", "root",
                 "var/run", "var/log", "etc/ppp/peers", "etc/xl2tpd"):
        cpio.directory(name)
    cpio.device("dev/console", 5, 1)
    cpio.device("dev/null", 1, 3)
    cpio.copy("init", os.path.join(HERE, "guest_init.sh"))
    cpio.copy("bin/busybox", os.path.join(root, "bin/busybox"))

    programs = [os.path.join(root, p) for p in PROGRAMS]
    for name in HOST_PROGRAMS:
        cpio.copy(name, "/" + name)
    plugdirs = os.path.join(root, "usr/lib/pppd")
    for version in os.listdir(plugdirs):
        programs += [os.path.join(plugdirs, version, p) for p in PLUGINS]
    for program in programs:
        cpio.copy(os.path.relpath(program, root), program)
    for library in libraries(programs + ["/" + p for p in HOST_PROGRAMS]):
        cpio.copy(library[1:], library)
    # Host names are looked up in /etc/hosts only.
    cpio.file("etc/hosts", b"127.0.0.1 localhost\n")
    cpio.file("etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
    cpio.file("etc/group", b"root:x:0:\n")

    files = module_files(root)
    boot = module_order(MODULES, files)
    later = [m for m in module_order(MODULES_LATER, files) if m not in boot]
    for name in boot + later:
        cpio.copy("modules/" + name + ".ko", files[name], 0o644)
    lines = "".join(m + ".ko\n" for m in boot)
    cpio.file("modules/at-boot", lines.encode())
    lines = "".join(m + ".ko\n" for m in later)
    cpio.file("modules/l2tp", lines.encode())
    return gzip.compress(cpio.done(), 1)


def stamp():
    """Changes whenever the image has to be made again."""
    digest = hashlib.sha256()
    for name in ("guest_image.py", "guest_init.sh"):
        with open(os.path.join(HERE, name), "rb") as f:
            digest.update(f.read())
    return digest.hexdigest()


def build(out=os.path.join(TOP, "build", "guest")):
    """Return (kernel, initramfs), made in the directory out if need be."""
    kernel = os.path.join(out, "vmlinuz")
    initrd = os.path.join(out, "initramfs.gz")
    stamped = os.path.join(out, "stamp")
    now = stamp()
    if os.path.exists(stamped):
        with open(stamped) as f:
            if f.read() == now:
                return kernel, initrd
    os.makedirs(out, exist_ok=True)
    work = tempfile.mkdtemp(prefix="unpack.", dir=out)
    try:
        root = fetch(work)
        boot = os.path.join(root, "boot")
        images = [n for n in os.listdir(boot) if n.startswith("vmlinuz-")]
        if len(images) != 1:
            raise ImageError("expected one kernel in %s" % images)
        with open(os.path.join(work, "initramfs.gz"), "wb") as f:
            f.write(initramfs(root))
        os.replace(os.path.join(work, "initramfs.gz"), initrd)
        os.replace(os.path.join(boot, images[0]), kernel)
        with open(stamped + ".new", "w") as f:
            f.write(now)
        os.replace(stamped + ".new", stamped)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return kernel, initrd


if __name__ == "__main__":
    try:
        print("\n".join(build()))
    except (ImageError, subprocess.TimeoutExpired) as error:
        sys.exit("guest_image: %s" % error)
