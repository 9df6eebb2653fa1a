"""The restrictions of etc/l2tpns.service, without systemd.

	sandbox.py USER DIRECTORY COMMAND [ARGUMENT...]

runs COMMAND as USER (a number) with what the unit allows, as it stands there:

	CapabilityBoundingSet, AmbientCapabilities, NoNewPrivileges, UMask
	SystemCallFilter, with systemd-analyze to say what is in the sets
	MemoryDenyWriteExecute, RestrictAddressFamilies, RestrictNamespaces,
	RestrictSUIDSGID, as the same kind of seccomp filter
	ProtectSystem=strict, ProtectKernelTunables: all is read-only but
	DIRECTORY, /dev and /proc

What needs systemd itself, or would hide this checkout, is left out: the
device policy (a program in a control group), ProtectHome, PrivateTmp, and
the settings that only take away what the capabilities do already.
"""

import os
import re
import stat
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
UNIT = os.path.join(TOP, "etc", "l2tpns.service")
PYTHON = "/usr/bin/python3"

ENOSYS, EPERM = 38, 1
CLONE_NEW = 0x7e020080
SUID_SGID = 0o6000


def unit():
    """The unit's settings: each name with the list of its values."""
    settings = {}
    with open(UNIT) as f:
        for line in f:
            found = re.match(r"(\w+)=(.*)", line)
            if found:
                settings.setdefault(found[1], []).append(found[2])
    return settings


def words(settings, name):
    return " ".join(settings.get(name, [])).split()


def expand(names):
    """System calls by name; a set begins with @ and may hold sets."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        out = subprocess.run(
            ["systemd-analyze", "syscall-filter", "--no-pager", name],
            check=True, text=True, stdout=subprocess.PIPE).stdout
        found |= expand(re.findall(r"^    ([@\w-]+)", out, re.M))
    return found


def allowed_calls(settings):
    """systemd.exec(5): the first line allows, one with ~ takes away."""
    allowed = set()
    for line in settings["SystemCallFilter"]:
        calls = expand(line.lstrip("~").split())
        allowed = allowed - calls if line[0] == "~" else allowed | calls
    return allowed


def seccomp_filter(settings):
    import seccomp
    from seccomp import ALLOW, EQ, ERRNO, MASKED_EQ, Arg

    made = seccomp.SyscallFilter(ERRNO(EPERM))
    # Calls that are allowed with some arguments only.
    some = {"socket": [[Arg(0, EQ, getattr(__import__("socket"), name))]
                       for name in words(settings,
                                         "RestrictAddressFamilies")],
            "unshare": [], "setns": [],
            "clone": [[Arg(0, MASKED_EQ, CLONE_NEW, 0)]],
            "mmap": [[Arg(2, MASKED_EQ, 6, prot)] for prot in (0, 2, 4)],
            "mprotect": [[Arg(2, MASKED_EQ, 4, 0)]],
            "pkey_mprotect": [[Arg(2, MASKED_EQ, 4, 0)]],
            "chmod": [[Arg(1, MASKED_EQ, SUID_SGID, 0)]],
            "fchmod": [[Arg(1, MASKED_EQ, SUID_SGID, 0)]],
            "fchmodat": [[Arg(2, MASKED_EQ, SUID_SGID, 0)]]}
    for name in sorted(allowed_calls(settings)):
        if name == "clone3":    # its flags are out of a filter's reach
            made.add_rule(ERRNO(ENOSYS), name)
            continue
        for arguments in some.get(name, [[]]):
            try:
                made.add_rule(ALLOW, name, *arguments)
            except (ValueError, RuntimeError):
                pass            # not of this architecture
    return made


def open_tun():
    """udev lets everybody open /dev/net/tun; without udev it is root's."""
    if os.stat("/dev/net/tun").st_mode & 0o006 == 0o006:
        return
    subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/net"], check=True)
    os.mknod("/dev/net/tun", 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666)


def read_only(directory):
    """ProtectSystem=strict in a mount namespace of our own."""
    def mount(*options):
        subprocess.run(["mount", *options], check=True,
                       stdout=subprocess.DEVNULL)

    mount("--make-rslave", "/")
    open_tun()
    mount("--rbind", directory, directory)
    mount("--bind", "/proc/sys", "/proc/sys")
    with open("/proc/self/mounts") as f:
        points = [line.split()[1].encode().decode("unicode_escape")
                  for line in f]
    for point in set(points):
        if (point + "/").startswith((directory + "/", "/dev/")) or (
                point.startswith("/proc") and point != "/proc/sys"):
            continue
        subprocess.run(["mount", "-o", "remount,bind,ro", point],
                       check=point in ("/", "/proc/sys"),
                       stderr=subprocess.DEVNULL)


def setpriv(settings, user):
    """The command that changes the user and the capabilities."""
    def caps(name):
        return ",".join(["-all"] + ["+" + cap[4:].lower()
                                    for cap in words(settings, name)])
    return ["setpriv", "--reuid=" + user, "--regid=" + user,
            "--clear-groups", "--no-new-privs",
            "--bounding-set=" + caps("CapabilityBoundingSet"),
            "--inh-caps=" + caps("AmbientCapabilities"),
            "--ambient-caps=" + caps("AmbientCapabilities")]


def usable(program):
    """Is all there that this needs, and may another user run program?"""
    return subprocess.run([PYTHON, "-B", __file__, "65534", "/tmp", program,
                           "-V"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def main(argv):
    settings = unit()
    if argv[0] == "--last":
        os.umask(int(settings["UMask"][0], 8))
        seccomp_filter(settings).load()
        os.execvp(argv[1], argv[1:])
    if argv[0] == "--mounted":
        user, directory, *command = argv[1:]
        read_only(directory)
        argv = setpriv(settings, user) + [PYTHON, "-B", __file__, "--last"]
        os.execvp(argv[0], argv + command)
    os.execvp("unshare", ["unshare", "-m", PYTHON, "-B", __file__,
                          "--mounted"] + argv)


if __name__ == "__main__":
    main(sys.argv[1:])
