"""How Chromium is started for a measurement or a test, and what reads the test mark from its pixels (`mark.js`)."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from protocols.errors import ConfigError

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS: Final = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
]
MARK: Final = (Path(__file__).parent / "mark.js").read_text("utf-8")
"""Gives each page `silianMark(element)` and `silianLook(element)`."""


def missing() -> None:
    """Raise ConfigError where the browser or what drives it is not on this machine."""
    if find_spec("playwright") is None:
        raise ConfigError("playwright is not installed: pip install 'silian[dev]'")
    if not Path(CHROMIUM).exists():
        raise ConfigError("chromium is not installed: apt-get install chromium")
