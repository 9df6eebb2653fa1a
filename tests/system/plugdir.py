"""Plugins in a place that the server takes them from, and our nsctl."""

import os
import shutil
import subprocess
import tempfile

import pytest

import daemon as daemon_module

BUILD = os.path.dirname(daemon_module.program())
OURS = os.path.join(BUILD, "nsctl")
PLUGINS = os.path.join(BUILD, "plugins")


@pytest.fixture
def plugin_dir():
    """A directory of plugins that the server accepts."""
    top = tempfile.mkdtemp(prefix="l2tpns-test-", dir="/run")
    os.chmod(top, 0o755)
    for name in os.listdir(PLUGINS):
        shutil.copy(os.path.join(PLUGINS, name), top)
        os.chmod(os.path.join(top, name), 0o644)
    yield top
    shutil.rmtree(top)


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
