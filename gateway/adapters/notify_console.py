"""Messages to the consoles of this centre: a sound and a line, by the event stream."""

from collections.abc import Callable

from gateway.events import ConsoleCalled, EventBus
from gateway.ports.notify import Notice, NotSentError, Receipt, Sent


class ConsoleNotifier:
    """Implements `Notifier`: `sent` where a console is open; that somebody heard it only an acknowledgement tells."""

    def __init__(self, bus: EventBus, consoles: Callable[[], int]) -> None:
        self._bus = bus
        self._consoles = consoles

    async def send(self, notice: Notice) -> Sent:
        """Tell all open consoles."""
        if not self._consoles():
            raise NotSentError("no_console")
        self._bus.publish(ConsoleCalled(notice.id, notice.address, notice.severity, notice.text, dict(notice.data)))
        return Sent(Receipt.SENT)
