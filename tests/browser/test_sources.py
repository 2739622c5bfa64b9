"""The console's own checks: words, types and rules of its TypeScript."""

import importlib.util
import subprocess

from tests.support.stage import ROOT

CONSOLE = ROOT / "gateway" / "console"


def test_words_types_and_rules(console: None):
    spec = importlib.util.spec_from_file_location("hatch_build", CONSOLE / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    node = build.ensure_node()
    environment = {**build.environment_with(node), "NO_COLOR": "1"}
    build.Console(CONSOLE).install(node, environment)
    done = subprocess.run(
        [*build.npm_command(node), "run", "check"],
        cwd=CONSOLE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
