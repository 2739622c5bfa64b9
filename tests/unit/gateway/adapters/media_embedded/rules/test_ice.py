"""ICE: the lite agent and the controlling one, against each other and against strangers."""

from itertools import count, pairwise

import pytest

from gateway.adapters.media_embedded.rules import ice, stun
from gateway.adapters.media_embedded.rules.ice import (
    Bound,
    ControllingAgent,
    Credentials,
    Effect,
    LiteAgent,
    Lost,
    Refused,
    Selected,
    Send,
    Unbound,
)

OURS, THEIRS = Credentials("ours", "p" * 22), Credentials("their", "q" * 22)
GATEWAY, BROWSER, ELSEWHERE = ("192.0.2.1", 5000), ("192.0.2.2", 6000), ("192.0.2.3", 7000)


def controlling() -> ControllingAgent:
    numbers = count()
    return ControllingAgent((THEIRS, OURS), 5, lambda: next(numbers).to_bytes(12, "big"))


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]


def sent(effects: list[Effect]) -> list[Send]:
    return [effect for effect in effects if isinstance(effect, Send)]


def check(*, nominate: bool = True, local: Credentials = OURS, number: int = 1, priority: int = 1) -> stun.Message:
    users = (local.ufrag, THEIRS.ufrag)
    raw = stun.check(
        number.to_bytes(12, "big"), users, local.password.encode(), priority=priority, tie_breaker=1, nominate=nominate
    )
    return stun.parse(raw)


def test_both_agents_find_each_other() -> None:
    lite, full = LiteAgent(OURS, 0.0), controlling()
    (first,) = sent(full.start([GATEWAY], 0.0))
    assert first.to == GATEWAY
    answered = lite.handle(stun.parse(first.data), BROWSER, 0.01)
    assert kinds(answered) == [Send, Bound, Selected]
    assert lite.selected == BROWSER
    effects = full.handle(stun.parse(sent(answered)[0].data), GATEWAY, 0.02)
    assert effects == [Bound(GATEWAY), Selected(GATEWAY)]


def test_of_several_candidates_the_first_that_answers_is_nominated() -> None:
    lite, full = LiteAgent(OURS, 0.0), controlling()
    first = sent(full.start([ELSEWHERE, GATEWAY], 0.0))
    assert [send.to for send in first] == [ELSEWHERE, GATEWAY]
    assert all(stun.USE_CANDIDATE not in stun.parse(send.data).attributes for send in first)
    answer = sent(lite.handle(stun.parse(first[1].data), BROWSER, 0.01))[0]
    (nomination,) = sent(full.handle(stun.parse(answer.data), GATEWAY, 0.02))
    assert stun.USE_CANDIDATE in stun.parse(nomination.data).attributes
    answer = sent(lite.handle(stun.parse(nomination.data), BROWSER, 0.03))[0]
    assert Selected(GATEWAY) in full.handle(stun.parse(answer.data), GATEWAY, 0.04)


def test_checks_are_repeated_with_growing_pauses_until_given_up() -> None:
    full = controlling()
    times = [0.0] if full.start([GATEWAY], 0.0) else []
    now = 0.0
    while True:
        now += 0.02
        effects = full.tick(now)
        if Lost(consent=False) in effects:
            break
        if effects:
            times.append(now)
    assert now == pytest.approx(ice.CONNECT_S, abs=0.1)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[0] < 0.1
    assert max(gaps) == pytest.approx(1.0, abs=0.05)


def test_a_stranger_is_refused_with_no_more_bytes_than_he_sent() -> None:
    lite = LiteAgent(OURS, 0.0)
    forged = check(local=Credentials("ours", "wrong password of length"))
    effects = lite.handle(forged, ELSEWHERE, 1.0)
    assert Refused("spoofed") in effects
    assert Bound(ELSEWHERE) not in effects
    assert all(len(send.data) <= len(forged.raw) for send in sent(effects))
    bare = stun.parse(stun.build(stun.REQUEST, bytes(12), []))
    assert sent(ice.refusal(bare, ELSEWHERE, 401)) == []


def test_the_address_is_bound_at_the_first_check_and_moves_with_the_nomination() -> None:
    lite = LiteAgent(OURS, 0.0)
    assert kinds(lite.handle(check(nominate=False), BROWSER, 1.0)) == [Send, Bound, Selected]
    assert kinds(lite.handle(check(nominate=False), ELSEWHERE, 1.1)) == [Send, Bound]
    assert lite.selected == BROWSER
    assert kinds(lite.handle(check(nominate=True), ELSEWHERE, 1.2)) == [Send, Selected]
    assert lite.selected == ELSEWHERE


def test_a_path_that_fell_silent_gives_way_without_nomination() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(), BROWSER, 0.0)
    assert Selected(ELSEWHERE) not in lite.handle(check(nominate=False), ELSEWHERE, 1.0)
    assert Selected(ELSEWHERE) in lite.handle(check(nominate=False), ELSEWHERE, ice.SILENT_PATH_S + 1)


def test_paths_are_bounded() -> None:
    lite = LiteAgent(OURS, 0.0)
    unbound = []
    for number in range(ice.MAX_PATHS + 5):
        effects = lite.handle(check(nominate=False), ("192.0.2.9", 1000 + number), float(number) / 10)
        unbound += [effect.address for effect in effects if isinstance(effect, Unbound)]
    assert len(unbound) == 5
    assert lite.selected not in unbound


def test_consent_ends_after_thirty_seconds_without_checks() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(), BROWSER, 1.0)
    lite.handle(check(), BROWSER, 20.0)
    assert lite.tick(20.0 + ice.CONSENT_S - 1) == []
    assert lite.tick(20.0 + ice.CONSENT_S + 1) == [Lost(consent=True)]


def test_forged_checks_do_not_keep_consent() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(), BROWSER, 0.0)
    lite.handle(check(local=Credentials("ours", "x" * 22)), BROWSER, 29.0)
    assert lite.tick(31.0) == [Lost(consent=True)]


def test_who_never_comes_is_given_up() -> None:
    lite = LiteAgent(OURS, 0.0)
    assert lite.tick(ice.CONNECT_S - 1) == []
    assert lite.tick(ice.CONNECT_S + 1) == [Lost(consent=False)]


def test_controlling_consent_lives_by_answers() -> None:
    lite, full = LiteAgent(OURS, 0.0), controlling()
    answer = sent(lite.handle(stun.parse(sent(full.start([GATEWAY], 0.0))[0].data), BROWSER, 0.0))[0]
    full.handle(stun.parse(answer.data), GATEWAY, 0.0)
    (asked,) = sent(full.tick(3.0))
    full.handle(stun.parse(sent(lite.handle(stun.parse(asked.data), BROWSER, 3.0))[0].data), GATEWAY, 3.0)
    assert Lost(consent=True) not in full.tick(12.0)
    assert Lost(consent=True) in full.tick(3.0 + ice.UPWARD_CONSENT_S + 0.5)


def test_an_answer_from_elsewhere_or_unsigned_is_refused() -> None:
    full = controlling()
    asked = stun.parse(sent(full.start([GATEWAY], 0.0))[0].data)
    good = stun.parse(stun.success(asked, BROWSER, OURS.password.encode()))
    assert full.handle(good, ELSEWHERE, 0.1) == [Refused("spoofed")]
    assert full.handle(stun.parse(stun.success(asked, BROWSER, b"forged")), GATEWAY, 0.1) == [Refused("spoofed")]
    assert Selected(GATEWAY) in full.handle(good, GATEWAY, 0.1)
    assert full.handle(good, GATEWAY, 0.2) == [Refused("spoofed")], "a replayed answer"


def test_roles_do_not_change() -> None:
    """We made the offer (or are lite): whoever claims our role is told 487 (RFC 8445 section 7.3.1.1)."""
    full = controlling()
    full.start([GATEWAY], 0.0)
    users = (THEIRS.ufrag, OURS.ufrag)
    raw = stun.check(bytes(12), users, THEIRS.password.encode(), priority=1, tie_breaker=1, nominate=False)
    assert stun.parse(sent(full.handle(stun.parse(raw), GATEWAY, 0.1))[0].data).error_code() == 487
    attributes = [(stun.USERNAME, b"ours:their"), (stun.CONTROLLED, bytes(8))]
    wrong = stun.parse(stun.build(stun.REQUEST, bytes(12), attributes, OURS.password.encode()))
    lite = LiteAgent(OURS, 0.0)
    assert stun.parse(sent(lite.handle(wrong, BROWSER, 0.1))[0].data).error_code() == 487
    assert lite.selected is None


def test_a_triggered_check_answers_a_full_peer_that_comes_first() -> None:
    full = controlling()
    full.start([GATEWAY], 0.0)
    attributes = [(stun.USERNAME, f"{THEIRS.ufrag}:{OURS.ufrag}".encode()), (stun.CONTROLLED, bytes(8))]
    request = stun.parse(stun.build(stun.REQUEST, bytes(12), attributes, THEIRS.password.encode()))
    answer, triggered = sent(full.handle(request, ELSEWHERE, 0.01))
    assert stun.parse(answer.data).kind == stun.SUCCESS
    assert (stun.parse(triggered.data).kind, triggered.to) == (stun.REQUEST, ELSEWHERE)


def test_a_restart_takes_new_credentials_while_the_old_still_answer() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(), BROWSER, 0.0)
    fresh = Credentials("fresh", "r" * 22)
    assert lite.restart(fresh, 10.0) == []
    assert kinds(lite.handle(check(), BROWSER, 11.0)) == [Send], "the old path carries on"
    assert Selected(ELSEWHERE) in lite.handle(check(local=fresh), ELSEWHERE, 12.0)
    assert lite.ufrags == ["fresh"]
    assert Refused("spoofed") in lite.handle(check(), BROWSER, 13.0), "the old credentials are over"


def test_of_paths_nominated_together_the_best_one_stays() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(priority=5), BROWSER, 0.0)
    assert Selected(ELSEWHERE) not in lite.handle(check(priority=3), ELSEWHERE, 0.1)
    assert Selected(BROWSER) not in lite.handle(check(priority=5), BROWSER, 0.2)
    assert Selected(GATEWAY) in lite.handle(check(priority=7), GATEWAY, 0.3)
    assert lite.selected == GATEWAY


def test_a_later_nomination_moves_the_media_to_whatever_path() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(priority=7), BROWSER, 0.0)
    lite.handle(check(priority=7, nominate=False), BROWSER, ice.NOMINATED_S)
    assert Selected(ELSEWHERE) in lite.handle(check(priority=3), ELSEWHERE, ice.NOMINATED_S + 0.1)


def test_a_new_address_of_the_same_socket_wins_at_once() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(priority=7), BROWSER, 0.0)
    assert Selected(GATEWAY) not in lite.handle(check(priority=7, nominate=False), GATEWAY, 0.1), "checks go on"
    rebound = lite.handle(check(priority=7, nominate=False), ELSEWHERE, ice.SETTLED_S + 0.1)
    assert kinds(rebound) == [Send, Bound, Selected]
    assert Selected(("192.0.2.8", 1)) not in lite.handle(check(priority=6, nominate=False), ("192.0.2.8", 1), 9.0)


def test_after_a_restart_the_new_nomination_wins_over_the_old_path() -> None:
    lite, fresh = LiteAgent(OURS, 0.0), Credentials("fresh", "r" * 22)
    lite.handle(check(priority=9), BROWSER, 0.0)
    lite.restart(fresh, 0.5)
    assert lite.handle(check(priority=9), BROWSER, 0.6), "the old credentials still serve the old path"
    assert Selected(ELSEWHERE) in lite.handle(check(local=fresh, priority=1), ELSEWHERE, 0.7)
    assert Refused("spoofed") in lite.handle(check(priority=9), BROWSER, 0.8)


def test_a_path_that_is_gone_hands_over_to_the_one_heard_last() -> None:
    lite = LiteAgent(OURS, 0.0)
    lite.handle(check(), BROWSER, 0.0)
    lite.handle(check(nominate=False), GATEWAY, 0.1)
    lite.handle(check(nominate=False), ELSEWHERE, 0.2)
    assert lite.forget(BROWSER) == [Unbound(BROWSER), Selected(ELSEWHERE)]
    assert lite.forget(BROWSER) == []
    assert lite.forget(GATEWAY) == [Unbound(GATEWAY)]
    assert lite.forget(ELSEWHERE) == [Unbound(ELSEWHERE)]
    assert lite.selected is None
    assert kinds(lite.handle(check(nominate=False), BROWSER, 0.3)) == [Send, Bound, Selected]


def test_roles_in_conflict_are_refused_by_both_sides() -> None:
    claims = stun.build(
        stun.REQUEST, bytes(12), [(stun.USERNAME, b"ours:their"), (stun.CONTROLLED, bytes(8))], b"p" * 22
    )
    (answer,) = sent(LiteAgent(OURS, 0.0).handle(stun.parse(claims), BROWSER, 0.0))
    assert stun.parse(answer.data).error_code() == 487
    full = controlling()
    full.start([GATEWAY], 0.0)
    claims = stun.build(
        stun.REQUEST, bytes(12), [(stun.USERNAME, b"their:ours"), (stun.CONTROLLING, bytes(8))], b"q" * 22
    )
    (answer,) = sent(full.handle(stun.parse(claims), GATEWAY, 0.0))
    assert stun.parse(answer.data).error_code() == 487


def test_checks_answered_elsewhere_are_as_good_as_heard() -> None:
    one, other = LiteAgent(OURS, 0.0), LiteAgent(OURS, 0.0)
    assert one.settled is None
    for agent in (one, other):
        agent.handle(check(), BROWSER, 1.0)
    assert one.settled == (BROWSER, OURS)
    other.handle(check(nominate=True, priority=7), BROWSER, 20.0)
    one.checked(BROWSER, 20.0, 7, 20.0)
    one.checked(ELSEWHERE, 40.0, 7, None)
    assert vars(one) == vars(other)
    assert one.tick(49.0) == []
    assert one.tick(51.0) == [Lost(consent=True)]


def test_during_a_restart_every_check_matters() -> None:
    agent = LiteAgent(OURS, 0.0)
    agent.handle(check(), BROWSER, 1.0)
    agent.restart(Credentials("again", "r" * 22), 2.0)
    assert agent.settled is None
    agent.handle(check(local=agent.local), ELSEWHERE, 3.0)
    agent.handle(check(local=agent.local), BROWSER, 7.0)
    assert agent.settled is not None
    assert agent.settled[1] == agent.local
