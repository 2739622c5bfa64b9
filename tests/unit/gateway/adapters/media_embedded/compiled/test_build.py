"""The library is compiled once, into the first place that takes it; what is missing is said with what to do."""

import os
import subprocess
from pathlib import Path

import pytest

from gateway.adapters.media_embedded import backends
from gateway.adapters.media_embedded.backends import choose, path_of
from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.compiled.build import CompiledError


def test_it_is_built_once_and_what_is_stale_goes(tmp_path: Path) -> None:
    stale = tmp_path / build.file_name().replace(build.file_name().split("-")[1], "0" * 16)
    stale.write_bytes(b"of an older source")
    found = build.ensure(tmp_path)
    assert [found] == list(tmp_path.iterdir())
    before = found.stat().st_mtime_ns
    assert build.ensure(tmp_path / "other", tmp_path) == found
    assert found.stat().st_mtime_ns == before


def test_a_place_that_cannot_be_written_to_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be below this")
    assert build.ensure(tmp_path / "file" / "place", tmp_path / "state").parent == tmp_path / "state"
    with pytest.raises(CompiledError, match="can be written to"):
        build.ensure(tmp_path / "file" / "place")


def test_the_name_follows_source_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.file_name()
    monkeypatch.setattr(build, "OPTIONS", (*build.OPTIONS, "-g"))
    assert build.file_name() != before


def test_without_a_compiler_batched_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "HERE", tmp_path / "package")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    chosen = choose("auto", tmp_path)
    assert (chosen.backend, chosen.library) == ("batched", "")
    assert "install gcc" in chosen.reason
    assert choose("compiled", tmp_path) == chosen
    assert [choose(name, tmp_path).backend for name in ("batched", "reference")] == ["batched", "reference"]


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken-cc"
    broken.write_text("#!/bin/sh\necho 'stdint.h: no such file' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(CompiledError, match=r"cannot compile the packet path: stdint\.h: no such file"):
        build.ensure(tmp_path / "place")
    assert list((tmp_path / "place").iterdir()) == []
    monkeypatch.setattr(build.subprocess, "run", _too_slow)
    with pytest.raises(CompiledError, match="could not be run"):
        build.ensure(tmp_path / "place")


def _too_slow(*_: object, **__: object) -> None:
    raise subprocess.TimeoutExpired("cc", 60)


def test_the_best_is_taken_where_it_can_be_had(tmp_path: Path) -> None:
    chosen = choose("auto", tmp_path)
    assert (chosen.backend, chosen.reason) == ("compiled", "")
    assert path_of(chosen.backend, chosen.library).modes() == {"backend": "compiled", "gso": "on"}


def test_a_worker_whose_library_does_not_load_goes_on_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert path_of("compiled", str(tmp_path / "gone.so")).modes()["backend"] == "batched"
    assert "the way of batched" in caplog.text
    assert [path_of(name, "").modes()["backend"] for name in ("batched", "reference")] == ["batched", "reference"]


def test_a_library_that_is_rubbish_is_no_reason_not_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.build, "HERE", tmp_path)
    (tmp_path / build.file_name()).write_bytes(os.urandom(64))
    chosen = choose("auto", tmp_path)
    assert chosen.backend == "batched"
    assert "does not load" in chosen.reason
