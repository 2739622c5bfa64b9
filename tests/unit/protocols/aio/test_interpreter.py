"""The interpreter of a serving process: the collector comes rarely, and still comes."""

import subprocess
import sys

PROGRAM = """
import gc, sys, weakref
from protocols.aio.interpreter import COLLECT_AFTER, SWITCH_S, loading, settle
class Knot: pass
with loading():
    assert not gc.isenabled()
assert gc.isenabled()
settle()
assert gc.isenabled() and gc.get_threshold() == COLLECT_AFTER and gc.get_freeze_count() > 1000
assert abs(sys.getswitchinterval() - SWITCH_S) < 1e-6
knot = Knot(); knot.itself = knot
gone = weakref.ref(knot); del knot
kept = [[] for _ in range(2 * COLLECT_AFTER[0])]
assert gone() is None, "rings of references still go"
"""


def test_rings_are_still_collected_and_what_was_loaded_is_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
