"""The film: moving, without B-frames, a key frame each second."""

import av
import numpy as np

from gateway.demo import film


def test_the_film_is_what_its_camera_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "SECONDS", 3)
    path = tmp_path / "river.mp4"
    film.make_film(path)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 3 * film.FRAME_RATE
    assert [n for n, frame in enumerate(frames) if frame.key_frame] == [0, film.FRAME_RATE, 2 * film.FRAME_RATE]
    assert not [frame for frame in frames if frame.pict_type == av.video.frame.PictureType.B]
    one, other = (frames[n].to_ndarray(format="gray").astype(int) for n in (0, 7))
    assert np.abs(one - other).mean() > 2


def test_a_film_that_is_there_is_kept(tmp_path):
    path = tmp_path / "river.mp4"
    path.write_bytes(b"kept")
    film.make_film(path)
    assert path.read_bytes() == b"kept"
