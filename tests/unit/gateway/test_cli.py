import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app, main

ROOT = Path(__file__).parents[3]


def test_help_is_light():
    heavy = ("fastapi", "sqlalchemy", "httpx", "cryptography", "av", "cv2", "aiortc", "alembic", "prometheus_client")
    code = f"""
import sys
from gateway.cli import app
try:
    app(["--help"])
except SystemExit:
    pass
print(sorted(set({heavy!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for command in ("serve", "demo", "doctor", "provision", "enrol-token", "enrol", "config", "user"):
        assert command in done.stdout


def test_the_sample_is_checked_good(tmp_path):
    printed = CliRunner().invoke(app, ["config", "sample"])
    file = tmp_path / "gateway.toml"
    file.write_text(printed.stdout, encoding="utf-8")
    checked = CliRunner().invoke(app, ["config", "check", "-c", str(file)])
    assert (checked.exit_code, checked.stdout.split()[:2]) == (0, ["good:", "320600"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["config", "check", "-c", "{none}"], 2, "config sample"),
        (["config", "check", "-c", "{wrong}"], 2, "did you mean http.port"),
        (["enrol", "-c", "{top}"], 2, "stands at the top"),
        (["provision", "-c", "{top}", "--nodes", "rubbish"], 2, "nodes"),
        (["user", "add", "A b", "--roles", "caller", "-c", "{top}"], 2, "name"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(tmp_path, monkeypatch, capsys, arguments, code, said):
    files = {"none": tmp_path / "none.toml", "wrong": tmp_path / "wrong.toml", "top": tmp_path / "top.toml"}
    files["wrong"].write_text('[centre]\ncode = "320600"\n[http]\nprot = 1\n')
    files["top"].write_text('[centre]\ncode = "000000"\n[state]\ndir = "state"\n')
    monkeypatch.setattr(sys, "argv", ["silian", *(a.format(**files) for a in arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    error = capsys.readouterr().err
    assert caught.value.code == code
    assert said in error
    assert error.count("\n") == 1
