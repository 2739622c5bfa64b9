from collections import Counter

import pytest

from gateway.bench.rollcall.plan import CITY, STORIES, UNREACHABLE, plan, table
from protocols.tiers import load_centres


def test_a_hundred_counties_tell_every_story():
    made = plan(100, 4)
    told = Counter(county.story.name for county in made.counties)
    assert set(told) == {story.name for story in STORIES}
    assert sum(told.values()) == 100
    assert sum(story.share for story in STORIES) == 100
    assert told["day"] == 45
    assert len({county.code for county in made.counties}) == 100


def test_the_seed_decides_and_another_one_decides_otherwise():
    order = [county.story.name for county in plan(100, 4).counties]
    assert order == [county.story.name for county in plan(100, 4).counties]
    assert order != [county.story.name for county in plan(100, 5).counties]


@pytest.mark.parametrize("count", [12, 13, 40])
def test_few_counties_tell_each_story_at_least_once(count):
    made = plan(count, 4)
    assert len(made.counties) == count
    assert {story.name for story in STORIES[1:]} <= {county.story.name for county in made.counties}


def test_every_camera_has_its_film_and_each_film_its_seed():
    made = plan(100, 4)
    assert {county.film for county in made.counties} == set(made.films)
    seeds = [seed for _, seed in made.films.values()]
    assert len(set(seeds)) == len(seeds)


def test_the_table_is_one_that_a_gateway_takes():
    made = plan(12, 4)
    centres = load_centres(table(made))
    assert all(centres[county.code].parent == CITY for county in made.counties)
    assert {"nobody", "cut", "power", "late", "excused"} == UNREACHABLE
