"""What a scrape of a running gateway shows of its links, outboxes and alarms."""

from pathlib import Path

import httpx
import pytest

from tests.support.chain import node, tiers, until

pytestmark = pytest.mark.external


async def test_a_scrape_shows_links_outboxes_and_alarms(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tiers(tmp_path, "320000", "320600") as (_, city), node(city, "320681-box", tmp_path) as box:
        await box.raise_alarm("gas-1/high", severity=1)
        url = f"http://127.0.0.1:{city.management.port}/metrics"
        wanted = (
            'silian_link_up{centre="320681",node="320681-box",plane="control"} 1.0',
            'silian_alarms_active{severity="1"} 1.0',
            'silian_alarms_unacknowledged{severity="1"} 1.0',
            'silian_alarms_received_total{centre="320681",severity="1"} 1.0',
            'silian_alarm_delivery_duration_seconds_count{severity="1"} 1.0',
            'silian_outbox_records{lane="urgent",peer="upper"} 0.0',
            "silian_broker_up 1.0",
            "silian_db_size_bytes",
        )
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:

            async def all_shown() -> bool:
                text = (await http.get(url)).text
                return all(line in text for line in wanted)

            await until(all_shown)
            text = (await http.get(url)).text
        assert "silian_centre_clock_offset_seconds" in text
        assert 'silian_centre_info{centre="320600"' in text
    assert not [record for record in caplog.records if record.message == "metric source failed"]
