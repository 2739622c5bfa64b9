"""Rules of the roll call: pure, time as an argument."""
