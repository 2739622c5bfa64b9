"""Rules of orders: pure, with time as an argument."""
