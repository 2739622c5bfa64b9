"""Words of other rooms go out by the same courier: receipts, retries, withdrawal, and who is told."""

from gateway.escalation.letters import LETTER
from gateway.ports.notify import Channel, Letter, NotSentError, Receipt
from tests.support.escalation_stage import escalation_stage


def letter(channel=Channel.SMS, address: str | None = "13800000000", ref="r1"):
    words = {"severity": 1, "subject": "叫应", "text": "【演练】请确认", "data": {"drill": True}}
    return Letter(topic="t1", ref=ref, channel=channel, person="张三", role="village", address=address, **words)


async def test_a_letter_goes_out_word_for_word_and_its_receipt_is_told_in_the_same_transaction(tmp_path):
    async with escalation_stage(tmp_path) as stage:
        told = []

        async def follow(uow, topic):
            told.append((topic, [one.state for one in await stage.room.letters.of(uow, topic)]))

        stage.room.letters.follow(follow)
        async with stage.store.unit() as uow:
            await stage.room.letters.write(uow, [letter(), letter(Channel.EMAIL, "a@b.example")])
        await stage.settle()
        (sms,), (mail,) = stage.channels[Channel.SMS].got, stage.channels[Channel.EMAIL].got
        assert (sms.text, sms.subject, sms.address) == ("【演练】请确认", "叫应", "13800000000")
        assert sms.data == {"drill": True, "purpose": LETTER, "person": "张三", "severity": 1}
        assert mail.address == "a@b.example"
        assert told[-1] == ("t1", [Receipt.ACCEPTED, Receipt.ACCEPTED])
        assert await stage.room.audit() == 0


async def test_what_fails_is_tried_again_and_what_has_no_address_is_kept_for_people_to_see(tmp_path):
    async with escalation_stage(tmp_path) as stage:
        stage.channels[Channel.SMS].fails = [NotSentError("busy")]
        async with stage.store.unit() as uow:
            await stage.room.letters.write(uow, [letter(), letter(Channel.EMAIL, None)])
        await stage.settle()
        async with stage.store.reading() as reader:
            found = {one.channel: one for one in await stage.room.letters.of(reader, "t1")}
        first, second = found[Channel.SMS], found[Channel.EMAIL]
        assert (first.state, first.reason, first.attempts) == (Receipt.WAITING, "busy", 1)
        assert (second.state, second.reason) == (Receipt.FAILED, "no_address")
        await stage.pass_(6)
        assert len(stage.channels[Channel.SMS].got) == 1


async def test_what_waits_is_withdrawn_by_reference(tmp_path):
    async with escalation_stage(tmp_path) as stage:
        async with stage.store.unit() as uow:
            await stage.room.letters.write(uow, [letter(), letter(ref="r2")])
            await stage.room.letters.withdraw(uow, "t1", ["r1"])
        await stage.settle()
        async with stage.store.reading() as reader:
            states = {one.ref: one.state for one in await stage.room.letters.of(reader, "t1")}
        assert states == {"r1": Receipt.CANCELLED, "r2": Receipt.ACCEPTED}


async def test_letters_survive_a_restart(tmp_path):
    async with escalation_stage(tmp_path) as stage, stage.store.unit() as uow:
        await stage.room.letters.write(uow, [letter()])
    async with escalation_stage(tmp_path, clock=stage.clock) as again:
        await again.settle()
        assert [one.text for one in again.channels[Channel.SMS].got] == ["【演练】请确认"]
