"""The built wheel holds exactly the three packages, typed, with the console and the dashboards inside."""

import subprocess
import sys
import zipfile

import pytest

from tests.support.house import ROOT


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """File names of a wheel built from this tree; the console is taken as it stands (SKIP_CONSOLE)."""
    out = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", f"import hatchling.build as b; print(b.build_wheel({str(out)!r}))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "SKIP_CONSOLE": "1"},
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        return wheel.namelist()


def test_exactly_three_packages(names):
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"gateway", "edge_agent", "protocols"}


def test_each_package_is_typed(names):
    assert {"gateway/py.typed", "edge_agent/py.typed", "protocols/py.typed"} <= set(names)


def test_no_workshop_waste_is_shipped(names):
    waste = [n for n in names if "node_modules" in n or "/screenshots/" in n or n.endswith((".ts", ".vue", ".map"))]
    assert not waste, waste[:5]


def test_dashboards_are_inside(names):
    assert any(n.startswith("gateway/_assets/grafana/") and n.endswith(".json") for n in names)
    assert any(n.startswith("gateway/_assets/rules/") for n in names)
