"""What is written is what `tomllib` reads."""

import tomllib
from pathlib import Path

import pytest

from gateway.demo.toml import dumps


def test_round_trip():
    content = {
        "one": {"text": '引号 " 反斜杠 \\ 换行\n', "number": 3, "ratio": 0.5, "yes": True, "list": ["a", "b"]},
        "nested": {"list": [{"name": "中文", "tags": ["a"], "n": 1}]},
        "many": [{"name": "x"}, {"name": "y", "n": 1}],
    }
    assert tomllib.loads(dumps(content)) == content


def test_paths_are_text_and_none_is_left_out():
    assert tomllib.loads(dumps({"s": {"path": Path("/a b"), "gone": None}})) == {"s": {"path": "/a b"}}


def test_what_has_no_place_is_an_error():
    with pytest.raises(TypeError):
        dumps({"s": {"x": object()}})
