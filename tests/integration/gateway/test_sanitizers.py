"""The C code of the compiled path under the sanitizers of the compiler: nothing is read or written out of bounds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.compiled import build
from tests.support.house import ROOT

COMPILED = ROOT / "tests/unit/gateway/adapters/media_embedded/compiled"


@pytest.mark.slow
def test_the_sanitizers_find_nothing(tmp_path: Path) -> None:
    """The unit tests of the compiled path again, on a library that stops at the first wrong byte."""
    command = build.compiler()
    assert command is not None
    watched = tmp_path / "watched.so"
    build.compile_to(command, watched, ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Werror"])
    asan = subprocess.run([command, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "PACKETS": str(watched),
        "LD_PRELOAD": asan.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(COMPILED)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
