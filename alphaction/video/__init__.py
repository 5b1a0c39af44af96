"""RGB movies: one-second clips, cutting movies into them, AVA's CSV files."""
