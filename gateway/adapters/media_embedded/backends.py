"""Which of the three packet paths runs: `compiled` where it can be had, else `batched`; `reference` by wish alone."""

import logging
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.compiled.build import CompiledError
from gateway.adapters.media_embedded.compiled.library import Library
from gateway.adapters.media_embedded.compiled.path import CompiledPath
from gateway.adapters.media_embedded.paths import BatchedPath, PacketPath, ReferencePath

logger = logging.getLogger(__name__)
BACKENDS = (CompiledPath.name, BatchedPath.name, ReferencePath.name)
AUTO = "auto"
"""The best that there is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend that is used, the file of its library if it has one, and why it is not a better one."""

    backend: str
    library: str = ""
    reason: str = ""


def choose(wished: str, state_dir: Path) -> Choice:
    """Return what a wish comes to on this machine. The first time it compiles: about a second.

    The library is looked for and made beside its source, or in `state_dir` where that may not be written to.
    """
    if wished not in {AUTO, CompiledPath.name}:
        return Choice(wished)
    try:
        library = build.ensure(build.HERE, state_dir / "compiled")
        Library(library)
    except CompiledError as error:
        return Choice(BatchedPath.name, reason=str(error))
    return Choice(CompiledPath.name, str(library))


def path_of(backend: str, library: str) -> PacketPath:
    """Make the path of a worker; `batched` where the library does not load after all, which is logged."""
    if backend == ReferencePath.name:
        return ReferencePath()
    if backend == CompiledPath.name:
        try:
            return CompiledPath(Library(Path(library)))
        except CompiledError as error:
            logger.error("packets go the way of batched: %s", error)
    return BatchedPath()
