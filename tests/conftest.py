"""One profile for all property tests: a slow machine is no fault, and the gate draws the same cases each time."""

import os

from hypothesis import settings

settings.register_profile("silian", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("silian")
