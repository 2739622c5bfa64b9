"""Every route of a whole gateway asks who is calling: walked from the OpenAPI, so that none is forgotten."""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway.app import Gateway
from gateway.provision import WantedUser, Wish, provision
from gateway.settings import Settings
from gateway.web.auth import Role
from protocols.ids import ulid

OPEN = {
    ("POST", "/api/v1/session"),
    ("GET", "/api/v1/enrol/ca"),
    ("POST", "/api/v1/enrol"),
    ("POST", "/api/v1/enrol/renew"),
}
"""No session: the proof is the password, the token or the old key; the authority's certificate is public."""
ANY_PATH = {"rest": "x"}
ID = ulid(0, bytes(10))


def settings(folder):
    return Settings.model_validate(
        {
            "centre": {"code": "320600"},
            "state": {"dir": folder},
            "http": {"port": 0},
            "management": {"port": 0},
            "broker": {"port": 0, "kind": "embedded"},
        }
    )


@pytest.fixture
async def gateway(tmp_path):
    wanted = settings(tmp_path / "state")
    people = tuple(
        WantedUser(name=r.value, display_name=r.value, roles=(r,), password=f"Abc-{r.value[::-1]}-42") for r in Role
    )
    await provision(wanted, Wish(users=people))
    async with Gateway(wanted) as gateway:
        yield gateway


def operations(app: FastAPI):
    """Method and path of every route below /api, as the OpenAPI tells."""
    for path, methods in app.openapi()["paths"].items():
        if path.startswith("/api/"):
            for method in methods:
                yield method.upper(), path


def filled(path):
    for name, value in {"centre": "320623", "name": "room", "id": ID}.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        head, _, rest = path.partition("{")
        path = head + ID + rest.partition("}")[2]
    return path


def gates(route: APIRoute):
    """The role sets of the route's `require`s."""
    stack, found = [route.dependant], []
    while stack:
        dependant = stack.pop()
        roles = getattr(dependant.call, "roles", None)
        if roles is not None:
            found.append(roles)
        stack.extend(dependant.dependencies)
    return found


def all_routes(routes):
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
            yield from all_routes(inner or [])


async def test_every_route_refuses_strangers_and_wrong_roles(gateway):
    asked = list(operations(gateway.site))
    assert len(asked) > 25
    assert set(asked) >= OPEN
    tokens = {}
    for role in Role:
        tokens[role] = (await gateway.users.login(role.value, f"Abc-{role.value[::-1]}-42")).token
    needed = {}
    for route in all_routes(gateway.site.router.routes):
        for method in route.methods:
            needed[method, route.path] = gates(route)
    url = f"http://127.0.0.1:{gateway.http.port}"
    wrong_roles = 0
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        for method, path in asked:
            if (method, path) in OPEN:
                continue
            answer = await client.request(method, filled(path))
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), (method, path)
            forged = await client.request(method, filled(path), headers={"Authorization": "Bearer forged"})
            assert forged.status_code == 401, (method, path)
            assert needed[method, path], f"{method} {path} names no roles"
            admitted = frozenset.intersection(*(roles or frozenset(Role) for roles in needed[method, path]))
            for role in set(Role) - admitted:
                headers = {"Authorization": f"Bearer {tokens[role]}"}
                answer = await client.request(method, filled(path), headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (method, path, role)
                wrong_roles += 1
    assert wrong_roles > 30


async def test_media_routes_need_a_media_token(gateway):
    session = (await gateway.users.login("dispatcher", f"Abc-{'dispatcher'[::-1]}-42")).token
    url = f"http://127.0.0.1:{gateway.http.port}"
    offer = {"Content-Type": "application/sdp"}
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        for path in ("/whip/320623/room", "/whep/320623/room"):
            for headers in (offer, {**offer, "Authorization": f"Bearer {session}"}):
                answer = await client.post(path, headers=headers, content="v=0\r\n")
                assert answer.status_code == 401, (path, answer.text)
                assert answer.json()["code"] == "not_authenticated"


async def test_the_audit_names_who_wrote_and_what(gateway):
    token = (await gateway.users.login("operations", f"Abc-{'operations'[::-1]}-42")).token
    url = f"http://127.0.0.1:{gateway.http.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {token}"}) as client:
        await client.post("/api/v1/enrolments", json={"node": "320623-box"})
    last = (await gateway.audit.records(0, 100))[-1]
    assert (last.actor, last.action, last.outcome) == ("operations", "POST /api/v1/enrolments", 201)
