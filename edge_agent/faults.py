"""Rehearsed faults, switched at run time through `<state>/faults.toml`.

::

    [cameras]
    room = "frozen"     # or "black", or "" for none

The file is read again when it changes; a camera that it does not name keeps what its settings say. A rehearsal is
logged, because a frozen picture that nobody ordered is a different matter.
"""

import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path

from edge_agent.cameras.source import Camera

logger = logging.getLogger(__name__)
FILE = "faults.toml"
_KNOWN = ("", "frozen", "black")


class FaultSwitch:
    """Call `look` about once a second."""

    def __init__(self, state_dir: Path, cameras: Mapping[str, Camera]) -> None:
        self._path = state_dir / FILE
        self._cameras = {camera.name: camera for camera in cameras.values()}
        self._seen: tuple[int, int] | None = None

    def look(self) -> None:
        """Apply the file if it is new; a broken file is logged and changes nothing."""
        try:
            about = self._path.stat()
            seen = (about.st_mtime_ns, about.st_size)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        wanted = self._read() if seen is not None else {}
        if wanted is not None:
            self._apply(wanted)

    def _read(self) -> dict[str, str] | None:
        try:
            found = tomllib.loads(self._path.read_text("utf-8")).get("cameras", {})
            if not isinstance(found, dict):
                raise TypeError("cameras must be a table")
        except (OSError, ValueError, TypeError) as error:
            logger.warning("faults file cannot be read", extra={"file": str(self._path), "detail": str(error)})
            return None
        unknown = {name: value for name, value in found.items() if name not in self._cameras or value not in _KNOWN}
        if unknown:
            logger.warning("faults file names what is unknown", extra={"file": str(self._path), "detail": str(unknown)})
        return {name: value for name, value in found.items() if name not in unknown}

    def _apply(self, wanted: Mapping[str, str]) -> None:
        for name, camera in self._cameras.items():
            fault = wanted.get(name, camera.settings.fault)
            if fault == camera.fault:
                continue
            if camera.passthrough and fault:
                logger.warning("a passed-through camera cannot rehearse a fault", extra={"camera": name})
                continue
            logger.warning("rehearsed fault", extra={"camera": name, "fault": fault or "none"})
            camera.rehearse(fault)
