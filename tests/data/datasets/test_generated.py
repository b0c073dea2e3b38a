"""The generated datasets: no scene twice, captions that never lie, a known ceiling, attributes one can see or hear."""

import dataclasses
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import WORLDS, generated
from scipy.ndimage import label

from harness.contract.dataset import Waveform
from harness.data.datasets.chance import Dice, permute
from harness.data.datasets.generated import BLOCKS, CAPTIONS, Generated, Names, Scenes, ceiling
from harness.data.datasets.soundscapes import RATE

KINDS = [partial(generated, name) for name in WORLDS.values()]
SPLITS = tuple(BLOCKS)

every = pytest.mark.parametrize("kind", KINDS, ids=list(WORLDS.values()))


def samples(item: object) -> np.ndarray:
    return item.samples if isinstance(item, Waveform) else np.asarray(item)


def same(first: object, second: object) -> bool:
    return np.array_equal(samples(first), samples(second))


@given(st.integers(1, 3000), st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_the_permutation_reaches_every_number_once(size, seed):
    assert np.array_equal(np.sort(permute(np.arange(size), size, seed)), np.arange(size))


@given(st.integers(1, 2**45), st.integers(0, 2**40), st.data())
@settings(max_examples=60, deadline=None)
def test_the_permutation_stays_inside_and_keeps_numbers_apart(size, seed, data):
    some = np.array(data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=50)), dtype=np.int64)
    images = permute(some, size, seed)
    assert len(np.unique(images)) == len(some)
    assert ((images >= 0) & (images < size)).all()
    alone = [int(permute(number[None], size, seed)[0]) for number in some[:3]]
    assert alone == images[:3].tolist()


def test_another_seed_permutes_differently():
    assert not np.array_equal(permute(np.arange(1000), 1000, 0), permute(np.arange(1000), 1000, 1))


@every
def test_no_scene_comes_twice_in_or_across_splits(kind):
    dataset = kind(train=150_000, validation=50_000, test=100_000)
    facts = np.concatenate([dataset.scenes(split).facts for split in SPLITS])
    assert len(np.unique(np.ascontiguousarray(facts).view(f"V{facts.shape[1]}"))) == 300_000


@every
def test_the_smaller_scenes_run_out_without_repeating(kind):
    world = kind().world
    sizes, numbers = Scenes(world, 0, "validation", 300_000).numbers
    assert len(np.unique(np.stack([sizes, numbers]), axis=1).T) == 300_000
    if len(world.counts) > 1:
        few = world.counts[0]
        start, end = Scenes.block(world.size(few), "validation")
        assert (sizes == few).sum() == min(end - start, 75_000)


@every
def test_three_full_splits_deal_out_every_scene_once(kind):
    world = kind().world
    tiny = dataclasses.replace(
        world, kind=world.kind._replace(values=2 * world.family), attributes=world.attributes[-1:]
    )
    splits = [Scenes(tiny, 0, split, Scenes.room(tiny, split)) for split in SPLITS]
    dealt = np.concatenate([np.stack(scenes.numbers, axis=1) for scenes in splits])
    wanted = [(count, number) for count in tiny.counts for number in range(tiny.size(count))]
    assert sorted(map(tuple, dealt.tolist())) == wanted
    facts = np.concatenate([scenes.facts for scenes in splits])
    assert len(np.unique(facts, axis=0)) == len(wanted)


@every
def test_every_number_is_another_scene(kind):
    world = kind().world
    for count in world.counts:
        numbers = np.unique(permute(np.arange(100_000), world.size(count), 3) // 2 * 2)  # even: then its neighbours
        facts = world.facts(count, np.concatenate([numbers, np.minimum(numbers + 1, world.size(count) - 1)]))
        assert len(np.unique(facts, axis=0)) == len(np.unique(np.concatenate([numbers, numbers + 1])))
        top = np.array([fact.values for fact in world.columns])
        assert (facts < top).all() and (facts >= -1).all()


@every
def test_splits_are_nested_and_independent(kind):
    small, large = kind(train=50, test=40), kind(train=500, test=400)
    for split, count in (("train", 50), ("test", 40)):
        one, other = small.split(split), large.split(split)
        assert list(one.captions) == list(other.captions[: count * CAPTIONS])
        assert one.items.digest == other.items[:count].digest
        assert all(same(one.items[item], other.items[item]) for item in range(0, count, 7))
    assert small.split("validation").items.digest == large.split("validation").items.digest
    assert small.digest != large.digest


@every
def test_the_same_arguments_give_the_same_things_and_another_seed_others(kind):
    one, two, other = kind(test=30), kind(test=30), kind(test=30, seed=1)
    assert one.digest == two.digest != other.digest
    assert list(one.split("test").captions) == list(two.split("test").captions) != list(other.split("test").captions)
    assert same(one.split("test").items[7], two.split("test").items[7])
    assert one.split("test").items.digest != other.split("test").items.digest
    assert not np.array_equal(one.scenes("test").facts, other.scenes("test").facts)


@every
def test_a_split_is_what_the_referee_expects(kind):
    dataset = kind(test=20)
    split = dataset.split("test")
    assert dataset.generated and split.items.modality == dataset.modality and split.captions.modality == "text"
    assert len(split.items) == len(split.item_names) == 20 and len(split.captions) == len(split.owner) == 100
    assert split.owner.tolist() == sorted(list(range(20)) * CAPTIONS)
    assert split.item_names[-1] == f"{dataset.name}-test-000019"
    assert len(split.pairs(f"text-{dataset.modality}").links) == 100


@every
@pytest.mark.parametrize("split", SPLITS)
def test_a_bad_size_is_named(kind, split):
    room = Scenes.room(kind().world, split)
    assert room > 500_000
    with pytest.raises(ValueError, match=rf"{split} is {room + 1}; expected at most {room:,}, for .* write a smaller"):
        kind(**{split: room + 1})
    assert len(kind(**{split: room}).split(split).items) == room
    for size in (-1, 0):
        with pytest.raises(ValueError, match=split):
            kind(**{split: size})


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="'dev': soundscapes has train, validation, test"):
        generated("soundscapes").split("dev")


@every
def test_a_million_items_cost_nothing_before_they_are_asked_for(kind):
    split = kind(test=1_000_000).split("test")
    assert len(split.captions) == 5_000_000 and split.item_names[999_999].endswith("-test-999999")
    assert isinstance(split.captions[4_999_999], str)
    assert samples(split.items[999_999]).size


@every
def test_every_caption_fits_its_own_item(kind):
    scenes = kind(test=700).scenes("test")
    meaning, own = scenes.meaning(np.arange(3500)), scenes.facts[np.arange(3500) // CAPTIONS]
    assert ((meaning == own) | (meaning == -1)).all()
    fits = scenes.fits(meaning, np.arange(700))
    assert fits[np.arange(3500), np.arange(3500) // CAPTIONS].all()


@every
def test_two_things_of_one_family_are_called_by_their_kinds(kind):
    """Else "a round shape and a round shape" would be matched by place, which the words don't tell."""
    scenes = kind(test=500).scenes("test")
    vague = 0
    for row in scenes.meaning(np.arange(2500)).tolist():
        things = scenes.world.things(row)
        families = [thing[0] for thing in things]
        for family, named, *_ in things:
            assert family >= 0 and (named >= 0 or families.count(family) == 1)
            vague += named < 0
    assert vague > 500


@every
def test_fitting_agrees_with_comparing_one_by_one(kind):
    scenes = kind(test=120).scenes("test")
    items = np.random.default_rng(0).permutation(120)[:70]
    meaning = scenes.meaning(np.arange(600))
    slow = [sum(all(m in (-1, f) for m, f in zip(row, scenes.facts[i], strict=True)) for i in items) for row in meaning]
    assert scenes.fitting(items).tolist() == slow == scenes.fits(meaning, items).sum(1).tolist()
    assert len(set(slow)) > 3  # else this compares nothing


@every
@pytest.mark.parametrize("seed", [0, 1])
def test_the_ceiling_lies_where_the_grammar_puts_it(kind, seed):
    split = kind(seed=seed).split("test")
    assert 0.75 < ceiling(split.fitting(np.arange(1000))) < 0.90


@every
def test_a_caption_says_all_it_means_and_no_more(kind):
    """Two meanings never share their wording."""
    scenes = kind(test=2000).scenes("test")
    said: dict[str, bytes] = {}
    for row in scenes.meaning(np.arange(10_000)):
        text = scenes.world.describe(row.tolist(), Dice(5))
        text = re.sub(r"\W+", " ", text.lower()).strip()
        assert said.setdefault(text, row.tobytes()) == row.tobytes(), text


@every
def test_captions_are_short_english_with_few_words(kind):
    captions = list(kind(train=4000).split("train").captions)
    words = [re.findall(r"[a-z'-]+", caption.lower()) for caption in captions]
    assert len({word for caption in words for word in caption}) < 300
    assert 10 < np.mean([len(caption) for caption in words]) < 20
    assert len(set(captions)) > 0.95 * len(captions)
    for caption in captions:
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  ", caption.lower()), caption


@every
def test_the_five_captions_differ_in_what_they_say(kind):
    scenes = kind(test=200).scenes("test")
    said = (scenes.meaning(np.arange(1000)) >= 0).sum(1).reshape(200, CAPTIONS)
    assert (said.max(1) > said.min(1)).mean() > 0.95


@every
def test_each_attribute_shows(kind):
    """The same dice and another attribute: another item, well beyond rounding."""
    dataset: Generated = kind(test=60)
    scenes, world = dataset.scenes("test"), dataset.world
    seen = set()
    for row in scenes.facts.tolist():
        whole = samples(world.render(row, Dice(1))).astype(float)
        width = 2 + len(world.attributes)
        for slot in range(row[0]):
            for place, fact in enumerate(world.attributes):
                other = list(row)
                at = 3 + slot * width + place
                other[at] = (row[at] + 1) % fact.values
                difference = samples(world.render(other, Dice(1))).astype(float) - whole
                assert np.abs(difference).max() > 0.02 * np.abs(whole).max(), (row, fact.name)
                seen.add(fact.name)
        ways = world.arrangements[row[0]]
        now = (ways == row[-ways.shape[1] :]).all(1).argmax()
        other = [*row[: -ways.shape[1]], *ways[(now + 1) % len(ways)].tolist()]
        assert not same(world.render(other, Dice(1)), world.render(row, Dice(1))), (row, other)
    assert seen == {fact.name for fact in world.attributes}


def test_names_behave_as_a_sequence():
    names = Names("x", 3)
    assert list(names) == names[:] == ["x-000000", "x-000001", "x-000002"] and names[-1] == "x-000002"
    with pytest.raises(IndexError):
        names[3]


def test_a_soundscape_is_four_seconds_of_sound():
    for item in generated("soundscapes", test=100).split("test").items:
        assert item.rate == RATE and item.samples.shape == (4 * RATE,) and item.samples.dtype == np.float32
        assert 0.03 < np.abs(item.samples).max() <= 1
        assert np.abs(item.samples[-200:]).max() < 0.02  # every sound ends in time


def test_each_soundscape_has_its_own_noise():
    scenes = generated("soundscapes", test=2).scenes("test")
    row = scenes.facts[0].tolist()
    assert not same(scenes.world.render(row, Dice(1)), scenes.world.render(row, Dice(2)))


def test_loud_and_soft_are_twelve_decibels_apart():
    world = generated("soundscapes").world
    row = world.facts(2, np.array([0]))[0].tolist()
    width = 2 + len(world.attributes)
    power = []
    for loudness in (0, 1):
        for slot in range(2):
            row[3 + slot * width] = loudness
        power.append(float((world.render(row, Dice(4)).samples ** 2).sum()))
    assert 10 < 10 * np.log10(power[1] / power[0]) < 14


@pytest.mark.parametrize(("kind", "shape"), [(KINDS[1], (64, 64, 3)), (KINDS[2], (8, 40, 40, 3))])
def test_pictures_and_videos_hold_bright_figures_on_a_dark_ground(kind, shape):
    for item in kind(test=60).split("test").items:
        assert item.shape == shape and item.dtype == np.uint8
        lit = item.max(-1) > 100
        frames = lit.reshape(-1, *shape[-3:-1]).mean((1, 2))
        assert (frames > 0.01).all() and (frames < 0.5).all()
        assert np.median(item) < 60


def test_figures_that_meet_touch_at_last_and_others_never_do():
    scenes = generated("motions", test=300).scenes("test")
    pieces: dict[int, list[int]] = {0: [], 1: []}
    for position, row in enumerate(scenes.facts.tolist()):
        video = scenes.item(position)
        frames = video if row[-1] == 0 else video[-1:]
        # not in every frame: a figure may still be coming in at the edge
        pieces[row[-1]].append(max(label(frame.max(-1) > 70, np.ones((3, 3)))[1] for frame in frames))
        if row[-1] == 0:
            assert min(label(frame.max(-1) > 70, np.ones((3, 3)))[1] for frame in frames) == 2, (position, row)
    assert np.mean(np.array(pieces[1]) == 1) > 0.97
    assert len(pieces[0]) > 100 < len(pieces[1])


def test_paths_and_speeds_show_in_the_pixels():
    """The bright pixels' middle goes where the facts say, by as much."""
    world = generated("motions").world
    row = world.facts(2, np.array([0]))[0].tolist()
    width = 2 + len(world.attributes)
    for slot in range(2):  # solid colour, no spin, no growth
        row[3 + slot * width : 7 + slot * width] = [slot * 2, 0, 0, 0]
    steps = {0: (0, 1), 1: (0, -1), 2: (1, 0), 3: (-1, 0)}  # rows, columns
    for path, step in steps.items():
        shifts = []
        for speed in (0, 1):
            row[6] = row[6 + width] = speed
            row[-3:] = [path, path, 0]
            video = world.render(row, Dice(9)).max(-1) > 100
            middles = [np.argwhere(frame).mean(0) for frame in (video[0], video[-1])]
            shift = middles[1] - middles[0]
            shifts.append(float(shift @ np.array(step)))
            assert abs(shift @ np.array(step[::-1])) < 1
        assert 4 < shifts[0] < 8 and 12 < shifts[1] < 18


def test_the_arrangement_shows_in_the_pixels():
    world = generated("shapes").world
    row = world.facts(2, np.array([0]))[0].tolist()
    width = 2 + len(world.attributes)
    row[3], row[3 + width] = 0, 4  # red and blue
    wanted = [(0, 1), (1, 0), (1, 1), (-1, 1)]  # from first to second: rows, columns
    for arrangement in range(8):
        row[-1] = arrangement
        picture = world.render(row, Dice(2)).astype(int)
        red = np.argwhere(picture[..., 0] > picture[..., 2] + 60).mean(0)
        blue = np.argwhere(picture[..., 2] > picture[..., 0] + 60).mean(0)
        direction, swapped = divmod(arrangement, 2)
        step = (red - blue if swapped else blue - red) / 28
        assert np.abs(step - wanted[direction]).max() < 0.2
