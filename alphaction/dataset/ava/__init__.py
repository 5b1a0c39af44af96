"""AVA's videos: one-second clips, cutting movies into them, annotations from AVA's CSV files."""
