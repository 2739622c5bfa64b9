"""The built wheel holds exactly the three packages, typed, with console, dashboards and media backend inside."""

import re
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from gateway.adapters.media_embedded.compiled import build
from tests.support.house import ROOT


def wheel_of(out, **environment):
    """Build a wheel from this tree; the console is taken as it stands (SKIP_CONSOLE)."""
    built = subprocess.run(
        [sys.executable, "-c", f"import hatchling.build as b; print(b.build_wheel({str(out)!r}))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "SKIP_CONSOLE": "1", **environment},
    )
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl")), built.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel with all that this machine can build."""
    return wheel_of(tmp_path_factory.mktemp("wheel"))[0]


def names_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def names(wheel):
    return names_of(wheel)


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


def test_the_media_backend_is_inside_and_the_tag_says_for_which_platform(wheel, names):
    assert [n for n in names if n.endswith(".so")] == [f"gateway/adapters/media_embedded/compiled/{build.file_name()}"]
    assert {"srtp.c", "wire.c", "packets.h"} <= {n.rpartition("/")[2] for n in names}, "it can be built again elsewhere"
    assert wheel.name.endswith(f"-py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}.whl")


def test_by_wish_the_wheel_is_for_any_platform(tmp_path):
    skipped, said = wheel_of(tmp_path, SKIP_COMPILED="1")
    assert (skipped.name.rpartition("-")[2], "media:" in said) == ("any.whl", False)
    assert not any(n.endswith(".so") for n in names_of(skipped))
