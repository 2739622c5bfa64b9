"""The plan of the house: who may import whom, and what each room must hold."""

import ast
import re

import pytest

from tests.support.house import ROOT, imports, name, rooms, sources, tree

PURE_FORBIDDEN = {
    "asyncio",
    "socket",
    "ssl",
    "threading",
    "subprocess",
    "time",
    "random",
    "secrets",
    "logging",
    "sqlite3",
    "aiomqtt",
    "paho",
    "aiortc",
    "av",
    "cv2",
    "fastapi",
    "httpx",
    "prometheus_client",
    "sqlalchemy",
}
ROOM_MAY = ("gateway.ports", "gateway.web", "gateway.events", "gateway.settings", "gateway.metrics", "gateway.logs")
VAGUE = {"utils.py", "common.py", "helpers.py", "models.py", "misc.py"}


@pytest.mark.parametrize("room", rooms(), ids=lambda p: p.name)
def test_a_room_never_imports_another_room(room):
    own = f"gateway.{room.name}"
    wrong = [
        f"{name(path)}:{line} {module}"
        for path in room.rglob("*.py")
        for line, module in imports(path)
        if module.startswith("gateway.") and not module.startswith((f"{own}.", *ROOM_MAY)) and module != own
    ]
    assert not wrong, f"declare a Protocol in needs.py and let app.py supply it: {wrong}"


@pytest.mark.parametrize("room", rooms(), ids=lambda p: p.name)
def test_a_room_says_what_it_is_for(room):
    doc = ast.get_docstring(tree(room / "__init__.py")) or ""
    assert len(re.findall(r"[.。!](?:\s|$)", doc)) >= 3, (
        f"{room.name}/__init__.py needs three sentences: what it is for, decides, and leaves to others"
    )


def test_rules_have_no_hands():
    pure = [p for p in sources() if p.name == "machine.py" or "rules" in p.parts]
    pure += [p for p in sources() if p.parent == ROOT / "protocols"]
    wrong = [
        f"{name(p)}:{line} {module}"
        for p in pure
        for line, module in imports(p)
        if module.split(".")[0] in PURE_FORBIDDEN
    ]
    wrong += [
        f"{name(p)}:{line} {module}" for p in pure for line, module in imports(p) if module.startswith("protocols.aio")
    ]
    assert not wrong, f"rules take time and bytes as arguments: {wrong}"


def test_the_media_worker_knows_nothing_of_the_gateway():
    own = "gateway.adapters.media_embedded"
    wrong = [
        f"{name(path)}:{line} {module}"
        for path in (ROOT / "gateway/adapters/media_embedded").rglob("*.py")
        for line, module in imports(path)
        if module.startswith("gateway.") and not module.startswith((own, "gateway.ports.media"))
    ]
    assert not wrong, wrong


def test_only_the_composition_root_chooses_adapters():
    wrong = [
        f"{name(path)}:{line} {module}"
        for path in sources()
        for line, module in imports(path)
        if module.startswith("gateway.adapters")
        and "adapters" not in path.parts
        and path.name not in {"app.py", "cli.py", "doctor.py"}
        and not name(path).startswith("gateway/bench/")
        and path.name not in {"provision.py", "compose.py"}
    ]
    assert not wrong, wrong


def test_no_drawer_is_called_miscellaneous():
    assert not [name(p) for p in sources() if p.name in VAGUE]


def test_the_bench_knows_only_what_it_measures():
    may = ("gateway.bench", "gateway.settings", "gateway.ports", "gateway.adapters")
    wrong = [
        f"{name(path)}:{line} {module}"
        for path in (ROOT / "gateway/bench").rglob("*.py")
        for line, module in imports(path)
        if module.startswith("gateway.") and not module.startswith(may)
    ]
    assert not wrong, wrong


def test_the_demo_starts_other_processes():
    wrong = [
        f"{name(path)}:{line} {module}"
        for path in (ROOT / "gateway/demo").rglob("*.py")
        for line, module in imports(path)
        if module.startswith("gateway.") and not module.startswith(("gateway.demo", "gateway.settings"))
    ]
    assert not wrong, wrong
