"""Real files, whole and broken: what comes out of each decoder, and how workers hand it over."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_files import HARMS, break_it, tone, write_picture, write_sound, write_video
from PIL import Image

from harness.contract.dataset import Waveform
from harness.data import media
from harness.data.media import crew
from harness.data.media.decoding import attempt
from harness.data.media.errors import BrokenFile, Stopped, Undecodable
from harness.data.media.image import image
from harness.data.media.job import Job
from harness.data.media.sound import _ratio, resampled, sound
from harness.data.media.video import video


def job(modality: str, path: Path) -> Job:
    return Job(modality, path, 16_000, 8, only_try=True)


# -- images -----------------------------------------------------------------------------------------------------------


def test_an_image_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :10] = (255, 0, 0)
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: the left edge is the top
    picture.save(tmp_path / "turned.png", exif=exif)
    found = image(tmp_path / "turned.png")
    assert found.shape == (30, 20, 3) and found.dtype == np.uint8
    assert (found[:10] == (255, 0, 0)).all() and (found[10:] == 0).all()


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (10, 20, 30, 255)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "alpha.png")
    found = image(tmp_path / "alpha.png")
    assert (found[:2] == (10, 20, 30)).all() and (found[2:] == 255).all()
    flat = Image.new("P", (4, 4), 1)
    flat.putpalette([0, 0, 0, 200, 100, 50])
    flat.putpixel((0, 0), 0)
    flat.save(tmp_path / "palette.png", transparency=0)
    found = image(tmp_path / "palette.png")
    assert found[0, 0].tolist() == [255, 255, 255] and found[1, 1].tolist() == [200, 100, 50]


def test_sixteen_bits_grey_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32896, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert image(tmp_path / "deep.png")[0, :, 1].tolist() == [0, 128, 255]
    Image.new("L", (3, 2), 77).save(tmp_path / "grey.png")
    assert (image(tmp_path / "grey.png") == 77).all()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "inks.jpg", quality=100)
    assert np.abs(image(tmp_path / "inks.jpg").astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("side", [9000, 30_000])
def test_an_enormous_image_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 200_000
    with pytest.raises(Undecodable, match=r"9,000 × 9,000 pixels; at most|900000000 pixels"):
        image(tmp_path / "bomb.png")


def test_no_format_that_starts_other_programs_is_read(tmp_path: Path) -> None:
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(Undecodable, match="no image"):
        image(tmp_path / "script.png")


# -- sound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_a_tone_keeps_its_pitch_loudness_and_length(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"tone.{ending}"
    write_sound(path, 1000, seconds=1.0, rate=44_100)
    found = sound(path, 16_000)
    assert found.rate == 16_000 and found.samples.dtype == np.float32
    assert abs(len(found.samples) - 16_000) <= 1
    spectrum = np.abs(np.fft.rfft(found.samples[2000:14_000]))
    assert abs(int(spectrum.argmax()) * 16_000 / 12_000 - 1000) < 2
    assert np.sqrt(np.mean(found.samples[2000:14_000] ** 2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_loses_nothing_and_invents_nothing(rate: int) -> None:
    kept = resampled(tone(1000, 1.0, rate), rate, 16_000)
    ideal = tone(1000, 1.0, 16_000)
    middle = slice(1000, 15_000)
    assert np.abs(kept[middle] - ideal[middle]).max() < 0.002
    if rate > 20_000:
        folded = resampled(tone(9500, 1.0, rate), rate, 16_000)  # would come back as 6500 Hz
        assert np.abs(folded[middle]).max() < 0.4 * 10 ** (-60 / 20)


def test_channels_are_mixed(tmp_path: Path) -> None:
    import soundfile

    both = np.stack([np.full(1000, 0.5, np.float32), np.full(1000, -0.1, np.float32)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", both, 16_000, subtype="FLOAT")
    assert np.allclose(sound(tmp_path / "stereo.wav", 16_000).samples, 0.2)


def test_sound_stays_within_its_range_and_is_made_of_numbers(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "loud.wav", np.full(100, 3.0, np.float32), 16_000, subtype="FLOAT")
    assert sound(tmp_path / "loud.wav", 16_000).samples.max() == 1.0
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(Undecodable, match="no numbers"):
        sound(tmp_path / "nan.wav", 16_000)


def test_a_sound_of_hours_is_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "long.flac", np.zeros(8000 * 601, np.int16), 8000)
    assert (tmp_path / "long.flac").stat().st_size < 200_000
    with pytest.raises(Undecodable, match=r"601 s of sound; at most 600 s"):
        sound(tmp_path / "long.flac", 16_000)


def claims(path: Path, rate: int) -> Path:
    """A WAV of half a second that says it has so many samples a second."""
    write_sound(path, 500)
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("rate", [99, 999_983])
def test_a_rate_that_no_recorder_has_is_refused_before_anything_is_decoded(tmp_path: Path, rate: int) -> None:
    with pytest.raises(Undecodable, match=r"samples a second; from 100 to 768,000"):
        sound(claims(tmp_path / "odd.wav", rate), 16_000)


@pytest.mark.parametrize("rate", [44_099, 49_999, 383_999, 767_999])
@pytest.mark.parametrize("wanted", [16_000, 384_000])
def test_no_pair_of_rates_needs_an_endless_filter(rate: int, wanted: int) -> None:
    up, down = _ratio(rate, wanted)
    assert max(up, down) <= 50_000 and up / down == pytest.approx(wanted / rate, rel=1e-4)
    for known in (8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000):
        assert Fraction(*_ratio(known, 16_000)) == Fraction(16_000, known)


def test_an_odd_rate_keeps_pitch_and_length() -> None:
    rate = 383_999
    kept = resampled(tone(1000, 0.5, rate), rate, 16_000)
    ideal = tone(1000, 0.5, 16_000)
    assert abs(len(kept) - len(ideal)) <= 1
    assert np.abs(kept[1000:7000] - ideal[1000:7000]).max() < 0.01


def test_what_decoding_would_take_is_bounded_and_may_be_set(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "many.wav"
    soundfile.write(path, np.zeros((100, 65), np.int16), 16_000)
    with pytest.raises(Undecodable, match="65 channels; at most 64"):
        sound(path, 16_000)
    soundfile.write(path, np.zeros((16_000, 8), np.int16), 16_000)
    assert len(sound(path, 16_000).samples) == 16_000
    with pytest.raises(Undecodable, match=r"1 s of sound; at most 0 s are decoded \(`longest_s`\)"):
        sound(path, 16_000, longest_s=0.4)
    with pytest.raises(Undecodable, match=r"128,000 samples; at most 96,000 are decoded"):
        sound(path, 16_000, longest_s=1.0)
    soundfile.write(path, np.zeros(100, np.int16), 100)  # a second, small in the file and large afterwards
    with pytest.raises(Undecodable, match=r"384,000 samples; at most 96,000 are decoded"):
        sound(path, 384_000, longest_s=1.0)


def test_a_video_that_is_too_long_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", frames=30)
    assert len(video(tmp_path / "clip.mp4", 2, longest_s=3.5)) == 2
    with pytest.raises(Undecodable, match=r"3 s of video; at most 2 s are decoded \(`longest_s`\)"):
        video(tmp_path / "clip.mp4", 2, longest_s=2.0)
    work = Job("video", tmp_path / "clip.mp4", 0, 2, only_try=True)
    assert attempt(work).why is None and "at most 2 s" in str(attempt(work._replace(longest_s=2.0)).why)


def test_a_wave_whose_length_was_never_filled_in_is_whole(tmp_path: Path) -> None:
    """As programs leave it that write into a pipe."""
    path = tmp_path / "streamed.wav"
    write_sound(path, 500)
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    for place in (4, at + 4):
        data[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert len(sound(path, 22_050).samples) == 11_025


# -- video ------------------------------------------------------------------------------------------------------------


def brightness(frames: np.ndarray) -> list[int]:
    return (frames.mean(axis=(1, 2, 3)) / 8).round().astype(int).tolist()


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_frames_are_spread_over_the_whole_length(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"clip.{ending}"
    write_video(path, frames=30)
    found = video(path, 5)
    assert found.shape == (5, 64, 64, 3) and found.dtype == np.uint8
    assert np.abs(np.array(brightness(found)) - [3, 9, 15, 21, 27]).max() <= 1
    assert brightness(video(path, 1))[0] in (14, 15)
    assert len(video(path, 60)) == 60  # more than there are: some twice


def test_a_video_that_was_filmed_sideways_stands_upright(tmp_path: Path) -> None:
    path = tmp_path / "sideways.mp4"
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        pixels = np.zeros((32, 64, 3), np.uint8)
        pixels[:, :32] = 255
        for _ in range(5):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # the matrix of the track's header: 90 degrees clockwise
    data[at : at + 20] = struct.pack(">5i", 0, 1 << 16, 0, -(1 << 16), 0)
    path.write_bytes(data)
    found = video(path, 1)[0]
    assert found.shape == (64, 32, 3)
    assert found[:28].mean() > 230 and found[36:].mean() < 25


def test_a_truncated_video_whose_index_stands_in_front_is_found(tmp_path: Path) -> None:
    path = tmp_path / "front.mp4"
    write_video(path, frames=60, options={"movflags": "faststart"})
    assert attempt(job("video", path)).why is None
    break_it(path, "truncated")
    assert "of 60 frames" in str(attempt(job("video", path)).why)


def test_a_long_video_is_sought_through_and_gives_the_same_frames(tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    import av

    with av.open(str(slow), "w") as container:  # a frame every four seconds
        stream = container.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.gop_size = "yuv420p", 4
        for number in range(30):
            pixels = np.full((64, 64, 3), 8 * number, np.uint8)
            for _ in range(4):
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                    container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    assert np.abs(np.array(brightness(video(slow, 4))) - [3.75, 11.25, 18.75, 26.25]).max() <= 1


def test_a_video_of_other_peoples_addresses_is_none(tmp_path: Path) -> None:
    """A playlist in a video's clothes, which would have us read other files."""
    write_video(tmp_path / "inside.ts")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ninside.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "clip.mp4").write_text(playlist)
    with pytest.raises(Undecodable):
        video(tmp_path / "clip.mp4", 4)


# -- whatever is broken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "jpg", "png", "webp", "mp4", "mkv"])
def test_a_broken_file_is_found(tmp_path: Path, ending: str, harm: str) -> None:
    path = tmp_path / f"file.{ending}"
    modality = "audio" if ending in ("wav", "flac", "ogg", "mp3") else "image"
    if ending in ("mp4", "mkv"):
        modality = "video"
        write_video(path, frames=60)
    elif modality == "audio":
        write_sound(path, 500, seconds=2.0)
    else:
        write_picture(path, 3)
    assert attempt(job(modality, path)).why is None
    break_it(path, harm)
    assert attempt(job(modality, path)).why


def test_what_a_file_calls_itself_does_not_matter(tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", 1)
    (tmp_path / "one.png").rename(tmp_path / "one.jpg")
    assert attempt(job("image", tmp_path / "one.jpg")).why is None
    write_sound(tmp_path / "one.flac", 300)
    (tmp_path / "one.flac").rename(tmp_path / "one.mp3")
    assert attempt(job("audio", tmp_path / "one.mp3")).why is None
    assert attempt(job("audio", tmp_path / "one.jpg")).why


def test_folders_and_pipes_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("folder.wav", "pipe.wav"):
        assert "no file" in str(attempt(job("audio", tmp_path / name)).why)


# -- contents and workers ---------------------------------------------------------------------------------------------


def test_workers_give_what_one_gets_alone_in_any_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        write_picture(path, number)
    contents = media.files("image", paths, "made:test:items")
    some = contents[np.array([*range(39, -1, -1), 5, 5])]
    assert len(some) == 42
    streamed = list(some)
    alone = [some[place] for place in range(42)]
    assert all(np.array_equal(one, other) for one, other in zip(streamed, alone, strict=True))
    assert np.array_equal(streamed[0], image(paths[39]))


def test_what_was_asked_of_the_decoder_is_part_of_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_sound(path, 440)
    one = media.files("audio", [path], "made:test:items", rate=16_000)
    other = media.files("audio", [path], "made:test:items", rate=8000)
    assert isinstance(one[0], Waveform) and (one[0].rate, other[0].rate) == (16_000, 8000)
    assert one.digest != other.digest
    assert one.digest == media.files("audio", [path], "made:test:items").digest


def test_a_file_that_breaks_later_names_itself(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(20)]
    for number, path in enumerate(paths):
        write_picture(path, number)
    contents = media.files("image", paths, "made:test:items")
    break_it(paths[13], "truncated")
    with pytest.raises(BrokenFile, match=r"13\.png"):
        list(contents)
    with pytest.raises(BrokenFile, match=r"13\.png"):
        contents[13]
    paths[13].unlink()
    with pytest.raises(BrokenFile, match=r"13\.png"):
        list(contents)


def jobs(folder: Path, count: int) -> list[Job]:
    for number in range(count):
        write_picture(folder / f"{number}.png", number)
    return [job("image", folder / f"{number}.png")._replace(longest_s=0.0) for number in range(count)]


def test_no_more_is_decoded_ahead_than_was_agreed(tmp_path: Path) -> None:
    work = crew._Crew(jobs(tmp_path, 30), 2)
    for wanted in range(30):
        assert work.take(wanted).error is None
        assert work.begun <= wanted + crew.AHEAD * 2 and len(work.waiting) < crew.AHEAD * 2
    work.part()


def test_a_decoder_that_dies_takes_one_file_along(tmp_path: Path) -> None:
    work = crew._Crew(jobs(tmp_path, 8), 1)
    assert work.take(0).error is None
    work.workers[0].process.send_signal(signal.SIGKILL)
    rest = [work.take(wanted) for wanted in range(1, 8)]
    work.part()
    died = [answer for answer in rest if answer.error is not None]
    assert len(died) == 1 and isinstance(died[0].error, Stopped) and "signal 9" in str(died[0].error)


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew.dismiss()
    work = crew._Crew(jobs(tmp_path, 4), 1)
    assert work.take(0).error is None  # it has started; from now on it is slow
    monkeypatch.setattr(crew, "LIMIT_S", 0.5)
    work.workers[0].process.send_signal(signal.SIGSTOP)
    rest = [work.take(wanted) for wanted in range(1, 4)]
    work.part()
    ended = [answer.error for answer in rest if answer.error]
    assert ended and all(isinstance(error, Stopped) for error in ended)  # on a busy machine, a fresh one is slow, too
    assert str(ended[0]) == "decoding it took more than 0 s"


BUSY = """\
import os, sys, time
from pathlib import Path
from harness.data.media import crew
from harness.data.media.job import Job
worker = crew.Worker()
worker.begin(0, Job("audio", Path(sys.argv[1]), 16_000, 8, True))
print(worker.process.pid, flush=True)
time.sleep(600)
"""


def test_workers_end_with_whom_they_work_for_even_if_it_is_killed(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "long.flac", np.zeros(48_000 * 500, np.int16), 48_000)  # it is at it for a while
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    script = [sys.executable, "-c", BUSY, str(tmp_path / "long.flac")]
    parent = subprocess.Popen(script, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        try:
            state = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there")


def test_workers_are_hired_again(tmp_path: Path) -> None:
    work = jobs(tmp_path, 12)
    crew.dismiss()
    list(crew.answers(work, most=1))
    first = crew._idle[0].process.pid
    list(crew.answers(work, most=1))
    assert [each.process.pid for each in crew._idle] == [first]
    for number, _ in enumerate(crew.answers(work, most=1)):
        if number == 2:
            break  # whoever stops early leaves nobody working
    crew.dismiss()
    assert not crew._idle


def test_a_file_is_looked_for_where_we_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers stay in the folder in which they were started."""
    write_picture(tmp_path / "here.png", 0)
    crew.dismiss()
    list(crew.answers(jobs(tmp_path, 2), most=1))
    monkeypatch.chdir(tmp_path)
    (answer,) = crew.answers([job("image", Path("here.png"))], most=1)
    assert answer.error is None, answer.error
