"""Eleven processes start in the demo: what they import before they need it is paid eleven times."""

import subprocess
import sys


def test_no_mqtt_library_is_imported_before_it_is_needed():
    code = (
        "import sys, protocols.aio.uplink, protocols.aio.downlink, protocols.aio.spool, protocols.aio.tasks\n"
        "wanted = {'paho', 'aiomqtt', 'amqtt', 'av', 'cv2', 'aiortc', 'fastapi', 'httpx', 'cryptography'}\n"
        "heavy = wanted & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
