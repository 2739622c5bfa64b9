"""What is wrong with a roster: pure rules."""
