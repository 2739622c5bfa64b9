"""ALSA inside PyAV's wheel looks for its configuration where it was built; this points it to the system's."""

import os
from pathlib import Path

CONFIGURATION = Path("/usr/share/alsa/alsa.conf")


def prepare() -> None:
    """Name the system's ALSA configuration unless the operator named one; call before opening a sound card."""
    if CONFIGURATION.exists():
        os.environ.setdefault("ALSA_CONFIG_PATH", str(CONFIGURATION))
