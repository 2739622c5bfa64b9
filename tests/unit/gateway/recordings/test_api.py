"""Recordings over HTTP: who may, byte ranges, and a clear no where the quota is used up."""

import pytest

from gateway.recordings.api import routes
from tests.support.recording_stage import STREAM, stage
from tests.support.web_site import as_role, client

PATH = "/api/v1/recordings"


@pytest.fixture
async def http(tmp_path):
    async with stage(tmp_path) as made, client(routes(made.room)) as http:
        yield http


async def test_record_watch_it_grow_stop_and_fetch(http):
    body = {"stream": STREAM, "seconds": 600, "reason": "危化品泄漏"}
    made = await http.post(PATH, json=body, headers=as_role("dispatcher"))
    assert made.status_code == 201
    record = made.json()
    assert (record["state"], record["limit_s"], record["started_by"]) == ("running", 600, "dispatcher")
    address = made.headers["location"]
    growing = await http.get(f"{address}/file", headers=as_role("duty_officer"))
    assert (growing.status_code, len(growing.content)) == (200, 700), "what is there can be watched already"
    stopped = (await http.delete(address, headers=as_role("duty_officer"))).json()
    assert (stopped["state"], stopped["ending"], stopped["bytes"]) == ("closed", "stopped", 700)
    assert (await http.delete(address, headers=as_role("dispatcher"))).json() == stopped
    (part,) = stopped["files"]
    assert len(part["sha256"]) == 64
    some = await http.get(part["url"], headers={**as_role("auditor"), "range": "bytes=7-13"})
    assert (some.status_code, some.content, some.headers["content-range"]) == (206, b"picture", "bytes 7-13/700")
    assert some.headers["content-type"] == "video/mp4"
    assert "320612-room-" in some.headers["content-disposition"]
    assert (await http.get(f"{address}/file?part=2", headers=as_role("auditor"))).status_code == 404
    listed = (await http.get(PATH, headers=as_role("auditor"))).json()
    assert (listed["items"], listed["next"]) == ([stopped], None)
    removed = (await http.delete(f"{address}/file", headers=as_role("operations"))).json()
    assert (removed["state"], removed["files"], removed["bytes"]) == ("removed", [], 0)


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("POST", "", None, 401),
        ("POST", "", "auditor", 403),
        ("POST", "", "operations", 403),
        ("GET", "", "operations", 403),
        ("DELETE", "/01AB", "caller", 403),
        ("DELETE", "/01AB/file", "dispatcher", 403),
        ("GET", "/01AB", "dispatcher", 404),
        ("DELETE", "/01AB", "dispatcher", 404),
        ("GET", "/01AB/file", "dispatcher", 404),
        ("GET", "/..%2F..%2Fgateway.db/file", "dispatcher", 404),
    ],
)
async def test_who_may_and_what_is_not_there(http, method, path, role, status):
    headers = as_role(role) if role else {}
    body = {"stream": STREAM} if method == "POST" else None
    assert (await http.request(method, PATH + path, json=body, headers=headers)).status_code == status


async def test_what_cannot_be_recorded(http):
    for body in ({"stream": "nonsense"}, {"stream": STREAM, "seconds": 0}, {"stream": STREAM, "seconds": 1e9}):
        answer = await http.post(PATH, json=body, headers=as_role("dispatcher"))
        assert answer.status_code in {400, 422}, body
    unknown = await http.post(PATH, json={"stream": "320612/cellar"}, headers=as_role("dispatcher"))
    assert unknown.status_code == 404


async def test_a_used_up_quota_is_a_clear_no(tmp_path):
    async with stage(tmp_path, gib=0) as made, client(routes(made.room)) as http:
        answer = await http.post(PATH, json={"stream": STREAM}, headers=as_role("dispatcher"))
        assert (answer.status_code, answer.json()["code"]) == (507, "spool_full")
        assert "recording_gib" in answer.json()["info"]
