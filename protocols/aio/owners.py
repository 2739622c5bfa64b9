"""Whom an installed package belongs to: two distributions may put files into one package, and no installer minds."""

import re
from collections.abc import Sequence
from importlib.metadata import distributions

OURS = "silian"


def owners(packages: Sequence[str]) -> dict[str, list[str]]:
    """Return for each package the names of the distributions that own files of it, sorted; none in a source tree.

    Read are the lists that installers leave (`RECORD`, of old ones `top_level.txt`). The function of the standard
    library that says the same (`packages_distributions`) takes each of their paths apart, at every start.
    """
    names = "|".join(map(re.escape, packages))
    listed = re.compile(rf'^"?({names})(?:/|\.py,|$)', re.MULTILINE)
    found: dict[str, set[str]] = {package: set() for package in packages}
    for distribution in distributions():
        files = distribution.read_text("RECORD") or distribution.read_text("top_level.txt") or ""
        for package in set(listed.findall(files)):
            found[package].add(distribution.metadata["Name"])
    return {package: sorted(names) for package, names in found.items()}


def strangers(packages: Sequence[str]) -> dict[str, list[str]]:
    """Return the packages that others than we own too, with the names of those."""
    others = {package: [name for name in names if name.lower() != OURS] for package, names in owners(packages).items()}
    return {package: names for package, names in others.items() if names}
