"""Commands that take a person's time, on disk until they are answered: a restart takes them up again.

Other commands end within seconds; whoever gave one asks again.
"""

import logging
from pathlib import Path

from pydantic import ValidationError

from protocols.command import Command, CommandName

logger = logging.getLogger(__name__)
LASTING = frozenset({CommandName.ROLLCALL_RING, CommandName.CALL_RING})


class Journal:
    """One small file per open command."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, command: Command) -> None:
        """Keep a command that may last; a disk that takes nothing costs only its survival of a restart."""
        if command.name not in LASTING:
            return
        try:
            self._directory.mkdir(exist_ok=True, mode=0o700)
            self._file(command).write_text(command.model_dump_json(), "utf-8")
        except OSError as error:
            logger.warning("open command is not on disk", extra={"command": command.name, "detail": str(error)})

    def end(self, command: Command) -> None:
        """Forget a command that was answered; an unknown one is fine."""
        self._file(command).unlink(missing_ok=True)

    def open(self) -> list[Command]:
        """Return what was not answered before a restart; what cannot be read is logged and removed."""
        found: list[Command] = []
        for file in sorted(self._directory.glob("*.json")):
            try:
                found.append(Command.model_validate_json(file.read_bytes()))
            except (OSError, ValidationError) as error:
                logger.warning("open command is lost", extra={"file": file.name, "detail": str(error)[:200]})
                file.unlink(missing_ok=True)
        return found

    def _file(self, command: Command) -> Path:
        return self._directory / f"{command.command_id}.json"
