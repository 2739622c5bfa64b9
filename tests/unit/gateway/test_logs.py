import io
import json
import logging

import pytest

from gateway.logs import start_logging


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_tells_time_level_place_and_fields():
    out = io.StringIO()
    start_logging("info", stream=out)
    logging.getLogger("gateway.links").info("link up", extra={"node": "320623-box", "reason": "came back"})
    line = out.getvalue().strip()
    assert line.endswith('gateway.links link up node=320623-box reason="came back"')
    assert line.split()[0].endswith("Z")


def test_json_lines_keep_chinese_and_exceptions():
    out = io.StringIO()
    start_logging("debug", as_json=True, stream=out)
    try:
        raise ValueError("水位")
    except ValueError:
        logging.getLogger("gateway").exception("crashed", extra={"centre": "如东"})
    body = json.loads(out.getvalue())
    assert body["centre"] == "如东"
    assert "ValueError: 水位" in body["exception"]
    assert "如东" in out.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_secret_never_reaches_the_log(as_json):
    out = io.StringIO()
    start_logging("info", as_json=as_json, stream=out)
    extra = {"token": "hunter2", "new_password": "hunter2", "Authorization": "Bearer hunter2"}
    logging.getLogger("gateway").info("login", extra=extra)
    assert "hunter2" not in out.getvalue()


def test_a_line_break_cannot_forge_a_second_line():
    out = io.StringIO()
    start_logging("info", stream=out)
    logging.getLogger("gateway").info("login", extra={"user": "eve\n2026-01-01T00:00:00Z INFO forged"})
    assert len(out.getvalue().splitlines()) == 1
