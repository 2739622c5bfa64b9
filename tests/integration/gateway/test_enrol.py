"""Enrolment from token to certificate, over real sockets: plain on loopback, TLS with the pinned authority."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from gateway.enrolment.authority import common_name
from gateway.web.auth import Role
from gateway.web.server import HttpServer, Listen
from protocols.aio.clock import ManualClock
from protocols.aio.enrol import certificate_life, ensure_identity, load_identity, renew_if_due
from protocols.errors import BadInputError, ConfigError, LinkError, NotAuthenticatedError, RefusedError
from tests.support.security import office

START = datetime.now(UTC)


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
async def city(tmp_path, clock):
    async with office(tmp_path / "city", clock) as city:
        await city.people(Role.OPERATIONS)
        yield city


@pytest.fixture
async def url(city):
    async with HttpServer(city.app, Listen("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.port}"


async def invite(city, node="320623-box"):
    async with city.client(await city.token(Role.OPERATIONS)) as operations:
        answer = await operations.post("/api/v1/enrolments", json={"node": node})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]


async def test_a_node_enrols_once_and_keeps_its_identity(city, url, tmp_path):
    token, folder = await invite(city), tmp_path / "box" / "identity"
    identity = await ensure_identity(folder, url, token)
    assert (identity.node, identity.gateway) == ("320623-box", "320600")
    assert (identity.broker().host, identity.broker().port) == ("127.0.0.1", 8883)
    assert identity.key.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(identity.certificate.read_bytes())
    assert common_name(certificate) == "320623-box"
    before = identity.certificate.read_bytes()
    assert await ensure_identity(folder, url, token) == identity
    assert await ensure_identity(folder, "http://127.0.0.1:1", None) == identity
    assert identity.certificate.read_bytes() == before
    assert "sekret" not in (folder / "upstream.json").read_text()


async def test_a_lost_answer_is_given_again_and_another_key_is_refused(city, url, tmp_path):
    token, folder = await invite(city), tmp_path / "box"
    identity = await ensure_identity(folder, url, token)
    first = identity.certificate.read_bytes()
    (folder / "upstream.json").unlink()
    assert (await ensure_identity(folder, url, token)).certificate.read_bytes() == first
    with pytest.raises(RefusedError, match="used before") as caught:
        await ensure_identity(tmp_path / "thief", url, token)
    assert caught.value.reason == "not_authenticated"


async def test_tokens_end_are_replaced_and_cannot_be_guessed(city, url, tmp_path, clock):
    first = await invite(city)
    second = await invite(city)
    with pytest.raises(RefusedError, match="does not know"):
        await ensure_identity(tmp_path / "a", url, first)
    _, _, rest = second.partition(".")
    with pytest.raises(RefusedError, match="does not know"):
        await ensure_identity(tmp_path / "b", url, f"320613-box.{rest}")
    await clock.advance(73 * 3600)
    with pytest.raises(RefusedError, match="ended"):
        await ensure_identity(tmp_path / "c", url, second)
    with pytest.raises(BadInputError):
        await ensure_identity(tmp_path / "d", url, "rubbish")
    with pytest.raises(ConfigError, match="enrol-token"):
        await ensure_identity(tmp_path / "e", url, None)
    assert not (tmp_path / "a" / "upstream.json").exists()


@pytest.mark.parametrize("node", ["320600", "110000-box", "000000", "320602-box"])
async def test_nodes_that_do_not_belong_here_get_no_token(city, node):
    async with city.client(await city.token(Role.OPERATIONS)) as operations:
        answer = await operations.post("/api/v1/enrolments", json={"node": node})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_identity")


async def test_a_gateway_below_enrols_like_an_agent(city, url, tmp_path):
    identity = await ensure_identity(tmp_path / "county", url, await invite(city, "320623"))
    assert identity.node == "320623"


async def test_another_authority_than_the_tokens_is_refused(city, url, tmp_path, clock):
    token = await invite(city)
    async with office(tmp_path / "impostor", clock) as impostor:
        await impostor.people(Role.OPERATIONS)
        stolen = await invite(impostor)
        async with HttpServer(impostor.app, Listen("127.0.0.1", 0)) as server:
            mixed = f"{stolen.rpartition('.')[0]}.{token.rpartition('.')[2]}"
            with pytest.raises(NotAuthenticatedError, match="another authority"):
                await ensure_identity(tmp_path / "box", f"http://127.0.0.1:{server.port}", mixed)
    assert load_identity(tmp_path / "box") is None


async def test_a_token_of_a_new_authority_enrols_again(city, url, tmp_path, clock):
    identity = await ensure_identity(tmp_path / "box", url, await invite(city))
    async with office(tmp_path / "rebuilt", clock) as rebuilt:
        await rebuilt.people(Role.OPERATIONS)
        async with HttpServer(rebuilt.app, Listen("127.0.0.1", 0)) as server:
            again = await ensure_identity(tmp_path / "box", f"http://127.0.0.1:{server.port}", await invite(rebuilt))
    assert again.authority.read_text() == rebuilt.enrolment.authority.pem
    assert again.url != identity.url


async def test_https_needs_nothing_but_the_pin(city, tmp_path):
    files = city.enrolment.authority.server_files("https", ["127.0.0.1"], START)
    token = await invite(city)
    async with HttpServer(city.app, Listen("127.0.0.1", 0, files.certificate, files.key)) as server:
        url = f"https://127.0.0.1:{server.port}"
        node_and_secret, _, pin = token.rpartition(".")
        with pytest.raises(NotAuthenticatedError, match="another authority"):
            await ensure_identity(tmp_path / "x", url, f"{node_and_secret}.{pin[::-1]}")
        identity = await ensure_identity(tmp_path / "box", url, token)
        assert identity.http_context() is not None
        assert await renew_if_due(tmp_path / "box", START + timedelta(days=80)) is True


@pytest.mark.parametrize("url", ["http://10.1.2.3:8080", "http://city.example", "http://127.0.0.1.evil.example"])
async def test_a_token_never_travels_in_the_clear(url, city, tmp_path):
    with pytest.raises(ConfigError, match="https"):
        await ensure_identity(tmp_path / "box", url, await invite(city))


async def test_renewal_comes_after_two_thirds_with_a_new_key(city, url, tmp_path, clock):
    folder = tmp_path / "box"
    identity = await ensure_identity(folder, url, await invite(city))
    key, end = identity.key.read_bytes(), certificate_life(identity)[1]
    assert await renew_if_due(folder, START + timedelta(days=50)) is False
    await clock.advance(61 * 24 * 3600)
    assert await renew_if_due(folder, clock.now()) is True
    renewed = load_identity(folder)
    assert renewed.key.read_bytes() != key
    assert renewed.key.stat().st_mode & 0o777 == 0o600
    assert certificate_life(renewed)[1] > end
    renewed.broker().tls.context()  # key and certificate belong together
    assert not list(folder.glob("*.next"))


async def test_a_renewal_cut_between_its_two_moves_is_finished(city, url, tmp_path, clock):
    folder = tmp_path / "box"
    await ensure_identity(folder, url, await invite(city))
    await clock.advance(61 * 24 * 3600)
    old_key, old_certificate = (folder / "node.key").read_bytes(), (folder / "node.crt").read_bytes()
    await renew_if_due(folder, clock.now())
    (folder / "node.crt.next").write_bytes((folder / "node.crt").read_bytes())
    (folder / "node.key.next").write_bytes((folder / "node.key").read_bytes())
    (folder / "node.key").write_bytes(old_key)
    (folder / "node.crt").write_bytes(old_certificate)
    load_identity(folder).broker().tls.context()
    assert (folder / "node.key").read_bytes() != old_key


async def test_a_renewal_without_the_old_key_or_certificate_is_refused(city, url, tmp_path, clock):
    folder = tmp_path / "box"
    await ensure_identity(folder, url, await invite(city))
    await ensure_identity(tmp_path / "other", url, await invite(city, "320613-box"))
    due = START + timedelta(days=61)
    (folder / "node.key").write_bytes((tmp_path / "other" / "node.key").read_bytes())
    with pytest.raises(RefusedError, match="old key"):
        await renew_if_due(folder, due)
    (folder / "node.key").write_bytes((tmp_path / "other" / "node.key").read_bytes())
    await clock.advance(91 * 24 * 3600)
    (folder / "node.crt").write_bytes((tmp_path / "other" / "node.crt").read_bytes())
    with pytest.raises(RefusedError, match="in force"):
        await renew_if_due(folder, clock.now())


async def test_a_gateway_that_is_away_or_something_else_is_a_link_error(tmp_path, city):
    token = await invite(city)
    with pytest.raises(LinkError, match="cannot be reached"):
        await ensure_identity(tmp_path / "box", "http://127.0.0.1:9", token)


async def test_damaged_identity_files_say_what_to_do(city, url, tmp_path):
    folder = tmp_path / "box"
    await ensure_identity(folder, url, await invite(city))
    (folder / "node.crt").unlink()
    with pytest.raises(ConfigError, match="enrol again"):
        load_identity(folder)
    (folder / "upstream.json").write_text(json.dumps({"node": "x"}))
    with pytest.raises(ConfigError, match="enrol again"):
        load_identity(folder)


async def test_enrolments_stand_in_the_audit_and_the_metrics(city, url, tmp_path):
    await ensure_identity(tmp_path / "box", url, await invite(city))
    deeds = [(r.actor, r.action, r.outcome) for r in await city.audit.records(0, 10)]
    assert ("operations", "POST /api/v1/enrolments", 201) in deeds
    assert ("320623-box", "POST /api/v1/enrol", 200) in deeds
    city.metrics.take_snapshot()
    text = city.metrics.render().decode()
    assert 'silian_enrolments_total{outcome="enrolled"} 1.0' in text
    assert 'silian_certificate_expiry_timestamp_seconds{node="320623-box",role="agent"}' in text
