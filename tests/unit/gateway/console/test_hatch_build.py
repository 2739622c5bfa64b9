"""The console's build: done when its sources changed, skipped when not, and never silently without a result."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[4] / "gateway" / "console" / "hatch_build.py"
spec = importlib.util.spec_from_file_location("hatch_build", FILE)
assert spec is not None
assert spec.loader is not None
hatch_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hatch_build)


@pytest.fixture
def console(tmp_path, monkeypatch):
    """A console whose `npm` is a script that notes its calls and makes what the file `makes` names."""
    monkeypatch.delenv("SKIP_CONSOLE", raising=False)
    folder = tmp_path / "console"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.ts").write_text("one")
    for name in hatch_build.SOURCES:
        (folder / name).write_text("{}")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "node").write_text("#!/bin/sh\necho v24.1.0\n")
    (programs / "npm").write_text(
        f'#!/bin/sh\necho "$1 $3" >> {tmp_path}/calls\n'
        '[ "$1" = ci ] && mkdir -p node_modules\n'
        f'[ "$1" = run ] && [ -e {tmp_path}/makes ] && mkdir -p static && echo page > static/index.html\n'
        "exit 0\n"
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "makes").touch()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return hatch_build.Console(folder)


def calls(console):
    file = console.folder.parent / "calls"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_second_run_does_nothing(console):
    console.make()
    console.make()
    assert calls(console) == ["ci", "run"]


def test_a_changed_source_is_built_without_installing_again(console):
    console.make()
    (console.folder / "src" / "main.ts").write_text("two")
    assert not console.finished()
    console.make()
    assert calls(console) == ["ci", "run", "run"]


def test_tests_of_the_console_are_no_source(console):
    console.make()
    (console.folder / "src" / "main.test.ts").write_text("two")
    assert console.finished()


def test_a_changed_lock_installs_again(console):
    console.make()
    (console.folder / "package-lock.json").write_text('{"changed": true}')
    console.make()
    assert calls(console) == ["ci", "run", "ci", "run"]


def test_a_build_without_a_page_is_an_error(console):
    (console.folder.parent / "makes").unlink()
    with pytest.raises(hatch_build.ConsoleError, match=r"index\.html"):
        console.make()


def test_skipping_is_possible_by_wish(console, monkeypatch):
    monkeypatch.setenv("SKIP_CONSOLE", "1")
    console.make()
    assert calls(console) == []


def test_an_old_node_is_not_used(console, tmp_path, monkeypatch):
    old = tmp_path / "old"
    old.mkdir()
    for name, said in (("node", "v18.20.0"), ("npm", "")):
        (old / name).write_text(f"#!/bin/sh\necho {said}\n")
        (old / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(old))
    assert hatch_build.node_folder(wheel=False) is None


def test_the_hook_asks_for_node_only_where_none_is(console, monkeypatch):
    hook = object.__new__(hatch_build.CustomBuildHook)
    (console.folder.parent / "gateway").mkdir()
    shutil.copytree(console.folder, console.folder.parent / "gateway" / "console")
    monkeypatch.setattr(hatch_build.CustomBuildHook, "root", str(console.folder.parent), raising=False)
    monkeypatch.setattr(hatch_build, "node_folder", lambda *, wheel: None)
    assert hook.dependencies() == [hatch_build.NODE_WHEEL]
    monkeypatch.setenv("SKIP_CONSOLE", "1")
    assert hook.dependencies() == []


def test_the_lock_names_no_registry():
    lock = json.loads((FILE.parent / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_the_page_depends_on_few_libraries_with_exact_versions():
    package = json.loads((FILE.parent / "package.json").read_text())
    assert len(package["dependencies"]) <= 12
    pins = {**package["dependencies"], **package["devDependencies"]}
    assert not [name for name, version in pins.items() if not version[0].isdigit()]
