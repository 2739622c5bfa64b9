"""Every camera fault that an agent can name is told in words, with what to do next: in its log and on the console."""

import ast
import json

import pytest

from edge_agent.cameras.advice import ADVICE
from protocols.errors import SilianError
from tests.support.house import ROOT

PLACES = [
    *sorted((ROOT / "edge_agent/cameras").glob("*.py")),
    *sorted((ROOT / "edge_agent/media").glob("*.py")),
    *sorted((ROOT / "edge_agent").glob("*.py")),
]
NAMING = {"CameraError", "_troubled", "advice"}
BEARING = {"trouble", "fault", "thin"}
NO_FAULT = {"none"}
"""What a log line says where a fault has ended."""


def _texts(node: ast.AST | None) -> set[str]:
    found = [] if node is None else [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return {text for text in found if isinstance(text, str) and text.isidentifier()}


def _named(node: ast.AST) -> set[str]:
    """Return the fault names that a piece of source states: given to a call, or put where a fault is kept."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if name in NAMING:
            return _texts(first) if isinstance(first, ast.Constant) else set()
        case ast.Assign(targets=targets, value=value):
            kept = [part for target in targets for part in ast.walk(target)]
        case ast.AnnAssign(target=target, value=value):
            kept = list(ast.walk(target))
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {
                t
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value == "fault"
                for t in _texts(value)
            }
        case ast.FunctionDef(name="fault" | "why_encode"):
            return {t for part in ast.walk(node) if isinstance(part, ast.Return) for t in _texts(part.value)}
        case _:
            return set()
    names = {getattr(part, "attr", None) or getattr(part, "id", None) for part in kept}
    return _texts(value) if names & BEARING else set()


def test_every_fault_that_the_agent_names_has_advice() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PLACES]
    named = {text for tree in trees for node in ast.walk(tree) for text in _named(node)}
    assert {"unreachable", "line_thin", "sound_lost", "speaker_lost", "colour_bars", "thumb_lost"} <= named
    assert named - NO_FAULT == set(ADVICE)


@pytest.mark.parametrize(("language", "place"), [("zh-CN", 0), ("en", 1)])
def test_the_console_says_the_same(language: str, place: int) -> None:
    words = json.loads((ROOT / f"gateway/console/src/i18n/{language}.json").read_text(encoding="utf-8"))
    assert words["camera_fault"] == {fault: texts[place] for fault, texts in ADVICE.items()}


def _classes(root: type[SilianError]) -> set[type[SilianError]]:
    return {root}.union(*(_classes(one) for one in root.__subclasses__()))


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_error_code_has_a_word_on_the_console(language: str) -> None:
    words = json.loads((ROOT / f"gateway/console/src/i18n/{language}.json").read_text(encoding="utf-8"))["problem"]
    codes = {one.code for one in _classes(SilianError) if one.__module__ == "protocols.errors"}
    assert {"too_often", "store_away"} <= codes
    assert not codes - set(words)
