"""Plugins in a place that the server takes them from, and our nsctl."""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile

import pytest

import daemon as daemon_module

BUILD = os.path.dirname(daemon_module.program())
OURS = os.path.join(BUILD, "nsctl")
PLUGINS = os.path.join(BUILD, "plugins")


@contextlib.contextmanager
def made():
    """A directory of plugins that the server accepts: the tests', and those
    that come with it."""
    top = tempfile.mkdtemp(prefix="l2tpns-test-", dir="/run")
    os.chmod(top, 0o755)
    for where in PLUGINS, BUILD:
        for path in glob.glob(os.path.join(where, "*.so")):
            put(path, top)
    yield top
    shutil.rmtree(top)


@pytest.fixture
def plugin_dir():
    with made() as top:
        yield top


def put(path, directory):
    """A file of its own, as install(1) would put it there."""
    to = os.path.join(directory, os.path.basename(path))
    shutil.copy(path, to)
    os.chmod(to, 0o644)


def run(space, program, *argv, env=None):
    """Exit status, standard output, standard error."""
    done = subprocess.run(space.argv(program, *argv), timeout=30, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          env=dict(os.environ, **(env or {})))
    return done.returncode, done.stdout, done.stderr


def nsctl(space, *argv):
    """What it prints; AssertionError if the command fails."""
    status, out, err = run(space, OURS, *argv)
    assert status == 0, (argv, out, err)
    return out
