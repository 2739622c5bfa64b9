"""Messages by SMTP. `accepted` means that the mail server took the message; whether it was read nobody tells."""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate

import aiosmtplib

from gateway.ports.notify import Notice, NotSentError, Receipt, Sent

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `tls`: `none`, `starttls` or `direct`."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    user: str | None = None
    password: str | None = None
    context: ssl.SSLContext | None = None


class EmailNotifier:
    """Implements `Notifier`."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def send(self, notice: Notice) -> Sent:
        """Hand one message in; a 5xx answer is final, everything else may be tried again."""
        server, message = self._server, self._message(notice)
        try:
            _, said = await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                use_tls=server.tls == "direct",
                start_tls=server.tls == "starttls",
                tls_context=server.context,
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            raise NotSentError(f"{first.code} {first.message}", retry=first.code < 500) from None
        except aiosmtplib.SMTPResponseException as error:
            raise NotSentError(f"{error.code} {error.message}", retry=error.code < 500) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSentError(f"mail server {server.host}: {error}") from None
        return Sent(Receipt.ACCEPTED, said[:128])

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = notice.address
        message["Subject"] = " ".join(notice.subject.split())
        message["Date"] = formatdate(usegmt=True)
        # The same name at each attempt lets a mail server or client fold a repeat.
        message["Message-ID"] = f"<{notice.id}@{self._server.sender.partition('@')[2]}>"
        if notice.severity == 1:
            message["Importance"] = "high"
        message.set_content(notice.text)
        return message
