"""The spoken prompt: Mandarin by espeak-ng where the box has it (`apt install espeak-ng`), else None and tones do.

The voice is `cmn-latn-pinyin`, which reads Chinese characters by their pinyin; `cmn` of the same package spells pinyin
as English words.
"""

import io
import logging
import shutil
import subprocess
import wave
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edge_agent.media.speaker import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

logger = logging.getLogger(__name__)
VOICE = "cmn-latn-pinyin"
WORDS_PER_MINUTE = "150"
LIMIT_S = 15
PLACES = "/usr/bin:/usr/local/bin"


def find_speaker() -> str | None:
    """Return the program that speaks, None where there is none."""
    return shutil.which("espeak-ng") or shutil.which("espeak-ng", path=PLACES)


@lru_cache(maxsize=16)
def spoken(text: str) -> "Samples | None":
    """Return `text` in Mandarin as 16 bit mono at 48 kHz; None where nothing can speak. Blocks: call it in a thread."""
    program = find_speaker()
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the program that `find_speaker` found; the text goes in by its input
            [program, "-v", VOICE, "-s", WORDS_PER_MINUTE, "-b", "1", "--stdin", "--stdout"],
            input=text.encode(),
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )
        return _resampled(done.stdout)
    except (OSError, ValueError, EOFError, wave.Error, subprocess.SubprocessError) as error:
        logger.warning("no spoken prompt", extra={"program": program, "detail": f"{type(error).__name__}: {error}"})
        return None


def _resampled(content: bytes) -> "Samples":
    """Read a WAV file of one channel whose header may not know its length, at 48 kHz."""
    import numpy as np

    with wave.open(io.BytesIO(content)) as file:
        rate = file.getframerate()
        data = content[content.index(b"data") + 8 :]
    source: Any = np.frombuffer(data[: len(data) // 2 * 2], np.int16).astype(np.float64)
    if not len(source):
        raise ValueError("nothing was spoken")
    at = np.arange(int(len(source) * RATE / rate)) * rate / RATE
    samples: Samples = np.interp(at, np.arange(len(source)), source).astype(np.int16)
    return samples
