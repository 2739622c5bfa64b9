"""Compiles the C files of this folder into a library beside them, or into another place where this one is read-only.

The file's name bears a digest of sources and options and the machine, so that no stale library is ever loaded. This
module uses the standard library alone: the package's build runs it before anything is installed.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = tuple(sorted([*HERE.glob("*.c"), *HERE.glob("*.h")]))
OPTIONS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fstack-protector-strong", "-ffp-contract=off")
COMPILERS = ("cc", "gcc", "clang")
COMPILE_S = 60.0


class CompiledError(Exception):
    """There is no library; the message says why and what to do."""


def file_name() -> str:
    """Name the library of these sources on this machine."""
    texts = [" ".join(OPTIONS).encode(), *(source.read_bytes() for source in SOURCES)]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]
    return f"packets-{digest}-{platform.machine()}.so"


def compiler() -> str | None:
    """Return the C compiler: the one that `CC` names, else the first one on PATH."""
    wished = os.environ.get("CC")
    return shutil.which(wished) if wished else next(filter(None, map(shutil.which, COMPILERS)), None)


def ensure(*places: Path) -> Path:
    """Return the library from the first place that has it, else build it in the first that takes it.

    Raises CompiledError where there is neither library nor compiler, or where it does not compile.
    """
    name = file_name()
    for place in places:
        if (place / name).is_file():
            return place / name
    command = compiler()
    if command is None:
        raise CompiledError("there is no C compiler; install gcc and libc6-dev and start again")
    for place in places:
        with contextlib.suppress(OSError):
            return _build(command, place, name)
    raise CompiledError(f"none of {', '.join(map(str, places))} can be written to")


def _build(command: str, place: Path, name: str) -> Path:
    """Build under another name first: whoever looks meanwhile sees no library or a whole one. Raises OSError."""
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".packets-", dir=place) as folder:
        draft = Path(folder) / name
        compile_to(command, draft)
        for stale in place.glob(f"packets-*-{platform.machine()}.so"):
            stale.unlink(missing_ok=True)
        draft.replace(place / name)
    return place / name


def compile_to(command: str, target: Path, more: Sequence[str] = ()) -> None:
    """Compile; raises CompiledError with what the compiler said last."""
    arguments = [
        command,
        *OPTIONS,
        *more,
        "-o",
        str(target),
        *(str(s) for s in SOURCES if s.suffix == ".c"),
        "-ldl",
        "-lm",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a compiler that was looked up, and fixed words
            arguments, capture_output=True, text=True, check=False, timeout=COMPILE_S
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise CompiledError(f"{command} could not be run: {error}") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CompiledError(f"{command} cannot compile the packet path: {said}")
