"""Whom a package belongs to, read from what installers left behind."""

from importlib.metadata import packages_distributions

import pytest

from protocols.aio.owners import owners, strangers
from tests.support.distributions import install


@pytest.mark.parametrize("listed", ["RECORD", "top_level.txt"])
def test_all_owners_are_named_and_only_others_are_strangers(tmp_path, monkeypatch, listed):
    install(tmp_path, "Silian", "wanted_here/__init__.py", listed=listed)
    install(tmp_path, "somebody-else", "wanted_here/more.py", "wanted_here_too/x.py", listed=listed)
    install(tmp_path, "a-neighbour", "not/wanted_here/x.py", listed=listed)
    monkeypatch.syspath_prepend(tmp_path)
    assert owners(["wanted_here", "unheard_of"]) == {"wanted_here": ["Silian", "somebody-else"], "unheard_of": []}
    assert strangers(["wanted_here", "unheard_of"]) == {"wanted_here": ["somebody-else"]}


def test_a_single_module_is_a_package_too(tmp_path, monkeypatch):
    install(tmp_path, "one-file", "wanted_here.py", "wanted_herewith.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert owners(["wanted_here"]) == {"wanted_here": ["one-file"]}


def test_it_says_what_the_standard_library_says():
    names = ["pydantic", "sqlalchemy", "pytest", "av", "httpx"]
    known = packages_distributions()
    assert owners(names) == {name: sorted(set(known[name])) for name in names}
