import pytest

from gateway.adapters.broker_access import allowed, mosquitto_acl
from tests.support.house import ROOT

BOX, CITY = "320623-box", "320600"


@pytest.mark.parametrize(
    ("who", "topic", "write", "read"),
    [
        (BOX, f"silian/v1/{BOX}/up/urgent", True, False),
        (BOX, f"silian/v1/{BOX}/rcpt/down", True, False),
        (BOX, f"silian/v1/{BOX}/state", True, False),
        (BOX, f"silian/v1/{BOX}/down/urgent", False, True),
        (BOX, f"silian/v1/{BOX}/down/+", False, True),
        (BOX, f"silian/v1/{BOX}/rcpt/up", False, True),
        (BOX, "silian/v1/320613-box/up/urgent", False, False),
        (BOX, "silian/v1/320613-box/down/urgent", False, False),
        (BOX, "silian/v1/+/down/+", False, False),
        (BOX, "silian/v1/#", False, False),
        (BOX, f"silian/v1/{BOX}/#", False, False),
        (BOX, "#", False, False),
        (BOX, "$SYS/broker", False, False),
        (BOX, f"silian/v1/{BOX}", False, False),
        (BOX, f"silian/v1/{BOX}/up/urgent/more", False, False),
        (CITY, "silian/v1/+/up/+", False, True),
        (CITY, "silian/v1/+/state", False, True),
        (CITY, f"silian/v1/{BOX}/down/urgent", True, False),
        (CITY, f"silian/v1/{BOX}/rcpt/up", True, False),
        (CITY, f"silian/v1/{BOX}/up/urgent", False, True),
        (CITY, "#", False, False),
        ("", f"silian/v1/{BOX}/up/urgent", False, False),
    ],
)
def test_who_may_what(who, topic, write, read):
    assert allowed(who, CITY, topic, write=True) is write
    assert allowed(who, CITY, topic, write=False) is read


def test_the_sample_for_a_configured_broker_is_the_same_list():
    assert (ROOT / "deploy/samples/mosquitto.acl").read_text() == mosquitto_acl(CITY)
