"""Messages by HTTP: a signed webhook for programs, and a template for the HTTP interfaces of SMS gateways.

The webhook is signed as the agent's is: `X-Silian-Signature: sha256=<hex HMAC-SHA256 of the body>`, and names the
message in `Idempotency-Key`, so that a repeat can be told from a second message.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from gateway.ports.notify import Notice, NotSentError, Receipt, Sent

TIMEOUT_S = 10.0


async def _post(client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    try:
        answer = await client.post(url, content=body, headers=dict(headers), timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSentError(f"{type(error).__name__}: {error}") from None
    if answer.status_code >= 300:
        again = answer.status_code >= 500 or answer.status_code in {408, 425, 429}
        raise NotSentError(f"HTTP {answer.status_code}", retry=again)
    return answer


class WebhookNotifier:
    """Implements `Notifier`: posts JSON to the contact's own URL. Redirects are not followed."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    async def send(self, notice: Notice) -> Sent:
        """Post one message; any 2xx is `accepted`."""
        said = {"id": notice.id, "subject": notice.subject, "text": notice.text, **notice.data}
        body = json.dumps(said, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notice.id,
            "X-Silian-Signature": "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest(),
        }
        async with httpx.AsyncClient() as client:
            await _post(client, notice.address, body, headers)
        return Sent(Receipt.ACCEPTED)


@dataclass(frozen=True, slots=True)
class SmsGateway:
    """How an SMS gateway is asked. `{to}`, `{text}` and `{id}` in the body are filled in, escaped for its form.

    `accepted` is searched in the answer (a gateway may refuse with HTTP 200); its first group is the reference.
    """

    url: str
    body: str
    content_type: str = "application/json"
    accepted: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class SmsHttpNotifier:
    """Implements `Notifier`."""

    def __init__(self, gateway: SmsGateway) -> None:
        self._gateway = gateway
        self._accepted = re.compile(gateway.accepted)

    async def send(self, notice: Notice) -> Sent:
        """Hand one message to the gateway."""
        values = {"to": notice.address.replace(" ", "").replace("-", ""), "text": notice.text, "id": notice.id}
        # In one pass: a text that speaks of {id} stays as it is.
        filled = re.sub(r"\{(to|text|id)\}", lambda found: self._escaped(values[found[1]]), self._gateway.body)
        headers = {**self._gateway.headers, "Content-Type": f"{self._gateway.content_type}; charset=utf-8"}
        async with httpx.AsyncClient() as client:
            answer = await _post(client, self._gateway.url, filled.encode(), headers)
        found = self._accepted.search(answer.text)
        if found is None:
            raise NotSentError(f"the SMS gateway said: {answer.text[:200]}", retry=False)
        return Sent(Receipt.ACCEPTED, (found.group(1) if found.groups() else "")[:128])

    def _escaped(self, value: str) -> str:
        if "json" in self._gateway.content_type:
            return json.dumps(value, ensure_ascii=False)[1:-1]
        return quote(value, safe="")
