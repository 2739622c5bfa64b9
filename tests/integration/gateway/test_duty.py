"""Who is on duty in a county is known at the city, over a real link."""

from datetime import date

from gateway.alarms.service import Wanted
from gateway.duty.machine import DEFAULT_PLAN, around
from protocols.duty import DutyRole
from tests.support.chain import CLOCK, tiers, until


async def test_the_city_sees_who_leads_in_the_county_and_the_gap_before(tmp_path):
    async with tiers(tmp_path, "320600", "320623") as (city, county):
        await county.duty.set_plan(DEFAULT_PLAN, by="admin")
        await until(lambda: city.duty.record("320623"))
        listed = await until(lambda: gap(city))
        assert listed["condition"] == "active"
        staff = []
        for name, role in (("李局", "leader"), ("王强", "officer"), ("赵敏", "officer")):
            person = {"name": name, "role": role, "phones": ["13812345678"], "valid_from": date(2020, 1, 1)}
            staff.append((await county.duty.put_person(None, person)).id)
        seats = list(zip(staff, (DutyRole.LEADER, DutyRole.OFFICER, DutyRole.OFFICER), strict=True))
        for day in around(CLOCK.now()):
            await county.duty.save(day, {"全天": seats}, 0, by="admin")
        now = await until(lambda: led(city))
        assert (now.people[0].name, now.people[0].phones, now.version) == ("李局", ("13812345678",), 1)

        async def cleared():
            return (await gap(city))["condition"] == "cleared"

        await until(cleared)


def led(gateway):
    record = gateway.duty.record("320623")
    return next((one for one in record.shifts if one.people and one.starts_at <= CLOCK.now() < one.ends_at), None)


async def gap(gateway):
    items = (await gateway.alarms.page(Wanted(event_type="staff.gap")))["items"]
    return items[0] if items else None
