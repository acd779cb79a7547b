"""Wall times, zones, repeats and lateness: pure, with no clock and no database."""
