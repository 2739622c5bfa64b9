"""Verdicts on pictures that were really coded and decoded: each kind of fault as a camera or capture box gives it."""

from fractions import Fraction

import av
import numpy as np
import pytest

from edge_agent.cameras.sampling import decode_group, sample_of
from protocols.health import Verdict
from protocols.picture import PictureJudge

SIZE = "640x360"


def pictures(source, count=12):
    with av.open(f"{source},format=bgr24", format="lavfi") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")
            count -= 1
            if not count:
                return


def coded(found):
    """Code pictures as a camera does, one a second; returns access units with their times."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuv420p"
    encoder.bit_rate, encoder.time_base = 800_000, Fraction(1, 15)
    encoder.options = {"tune": "zerolatency", "x264-params": "keyint=4:scenecut=0:annexb=1:repeat-headers=1"}
    units = []
    for number, picture in enumerate(found):
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = number
        units += [(float(number), bytes(packet)) for packet in encoder.encode(frame)]
    return units


def verdict(samples):
    judge = PictureJudge()
    for sample in samples:
        judge.look(sample)
    return judge.verdict(samples[-1].at)


KINDS = [
    ("testsrc2=size=640x360:rate=1", Verdict.LIVE),
    ("color=c=black:size=640x360:rate=1,noise=alls=3:allf=t", Verdict.BLACK),
    ("color=c=gray:size=640x360:rate=1,noise=alls=4:allf=t", Verdict.COVERED),
    (f"smptebars=size={SIZE}:rate=1,noise=alls=6:allf=t", Verdict.UNPROVEN),
    (f"smptehdbars=size={SIZE}:rate=1", Verdict.UNPROVEN),
    (f"pal75bars=size={SIZE}:rate=1,noise=alls=6:allf=t", Verdict.UNPROVEN),
]


@pytest.mark.parametrize(("source", "expected"), KINDS)
def test_a_coded_picture_is_judged_as_what_it_is(source, expected):
    samples = decode_group(coded(pictures(source)))
    assert len(samples) == 12
    assert verdict(samples) is expected


@pytest.mark.parametrize(("source", "expected"), KINDS)
def test_a_raw_picture_is_judged_the_same(source, expected):
    samples = [sample_of(picture, float(at), exact=True) for at, picture in enumerate(pictures(source))]
    assert verdict(samples) is expected


def test_the_same_raw_picture_is_frozen_and_behind_a_coder_it_is_only_unproven():
    picture = next(pictures("testsrc2=size=640x360:rate=1"))
    raw = [sample_of(picture, float(at), exact=True) for at in range(12)]
    assert verdict(raw) is Verdict.FROZEN
    assert verdict(decode_group(coded([picture] * 12))) is Verdict.UNPROVEN
    grain = np.random.default_rng(1)
    noisy = [np.clip(picture + grain.integers(-2, 3, picture.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    assert verdict([sample_of(one, float(at), exact=True) for at, one in enumerate(noisy)]) is Verdict.LIVE
