"""Which channels there are, by the settings: the console always, the others where their address is given."""

from collections.abc import Callable
from pathlib import Path

from gateway.adapters.notify_console import ConsoleNotifier
from gateway.adapters.notify_email import EmailNotifier, MailServer
from gateway.adapters.notify_http import SmsGateway, SmsHttpNotifier, WebhookNotifier
from gateway.events import EventBus
from gateway.ports.notify import Channel, Notifier
from gateway.settings import NotifySection
from protocols.errors import ConfigError

SECRET_LENGTH = 16


def choose_channels(wanted: NotifySection, bus: EventBus, consoles: Callable[[], int]) -> dict[Channel, Notifier]:
    """Return the channels; raises ConfigError for a secret that is missing or too short."""
    channels: dict[Channel, Notifier] = {Channel.SOUND: ConsoleNotifier(bus, consoles)}
    if wanted.smtp is not None:
        host, _, port = wanted.smtp.rpartition(":")
        password = _secret("notify.smtp_password_file", wanted.smtp_password_file)
        server = MailServer(host, int(port), wanted.mail_from, wanted.smtp_tls, wanted.smtp_user, password)
        channels[Channel.EMAIL] = EmailNotifier(server)
    secret = _secret("notify.webhook_secret_file", wanted.webhook_secret_file)
    if secret is not None:
        if len(secret) < SECRET_LENGTH:
            raise ConfigError(f"notify.webhook_secret_file: shorter than {SECRET_LENGTH} characters")
        channels[Channel.WEBHOOK] = WebhookNotifier(secret.encode())
    if wanted.sms_url is not None:
        headers = {name.strip(): value.strip() for name, _, value in (one.partition(":") for one in wanted.sms_headers)}
        gateway = SmsGateway(wanted.sms_url, wanted.sms_body, wanted.sms_content_type, wanted.sms_accepted, headers)
        channels[Channel.SMS] = SmsHttpNotifier(gateway)
    return channels


def _secret(key: str, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{key} {path}: {error.strerror}") from None
