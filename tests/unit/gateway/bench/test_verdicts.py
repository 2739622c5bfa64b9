"""What a confusion matrix counts as a fault; the judges themselves are asked where an encoder runs."""

from collections import Counter

from gateway.bench.verdicts import faults


def test_faults_count_what_must_never_be():
    found = {
        "night, noise 1 @ 300 kbit/s": Counter(live=1, frozen=1),
        "night, no noise @ 300 kbit/s": Counter(live=2, unproven=1),
    }
    counts = faults(found)
    assert (counts["false_frozen"], counts["false_present"], counts["wrong"], counts["unproven"]) == (1, 2, 3, 1)
