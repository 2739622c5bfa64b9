"""Bodies of PATCH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import fragment
from gateway.adapters.media_embedded.rules.description import Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from protocols.errors import BadMediaError

TRICKLE = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n"
    "a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\na=end-of-candidates\r\n"
)


def test_the_example_of_the_rfc() -> None:
    heard = fragment.read(TRICKLE)
    assert heard == fragment.Fragment(Credentials("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"), 2, complete=True)


def test_our_answer_to_a_restart_reads_as_a_fragment() -> None:
    local = Local(Credentials("abcd", "p" * 22), "AA", (("127.0.0.1", 5), ("192.0.2.1", 5)))
    text = fragment.restarted(local, ("0", "1"), "video")
    assert "a=ice-lite\r\n" in text
    assert fragment.read(text) == fragment.Fragment(local.credentials, 2, complete=True)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 20000,
        "hello",
        "a=candidate:nonsense",
        "a=ice-ufrag:EsAw",
        "a=ice-ufrag:E\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "a=ice-ufrag:EsAw\r\na=ice-ufrag:EsAx\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n" * 65,
    ],
)
def test_bad_fragments_are_refused(text: str) -> None:
    with pytest.raises(BadMediaError):
        fragment.read(text)


@given(st.text(max_size=300))
def test_any_text_reads_or_is_refused(text: str) -> None:
    for body in (text, TRICKLE + text, "a=candidate:" + text):
        try:
            fragment.read(body)
        except BadMediaError:
            continue
