"""60,000 subscribers, and the servers that carry them come and go.

The figures are printed, and are in Docs/PERFORMANCE.md; the same by hand and
with other numbers: cluster_scale.py --help.
"""

import os

import pytest

import cluster_scale

# Beside other programs a process may have to wait for a processor as long.
STALL_MS = 50


@pytest.mark.long
def test_joining_and_dying_with_sixty_thousand_up(tmp_path):
    scale = cluster_scale.Scale(cluster_scale.arguments(
        ["--rest", "10", "--stall", str(STALL_MS)]),
        os.path.join(str(tmp_path), "bed"))
    found = scale.run()
    assert not scale.broken, scale.broken
    # Nothing went missing on a wire that loses nothing.
    for part in "join", "three":
        for figures in found[part]["members"].values():
            assert not figures["lost"], (part, figures)
