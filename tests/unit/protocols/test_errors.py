import inspect

from protocols import errors


def tree():
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.SilianError)]


def test_every_error_has_a_stable_code_of_its_own_or_its_parents():
    assert all(c.code and 400 <= c.status < 600 for c in tree())
    own = [c.code for c in tree() if "code" in vars(c)]
    assert len(own) == len(set(own))


def test_every_error_stands_in_the_drawn_tree():
    missing = [c.__name__ for c in tree() if c.__name__ not in (errors.__doc__ or "")]
    assert not missing
