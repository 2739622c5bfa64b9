"""Rules of the dispatch room that need no hands: time in, decisions out."""
