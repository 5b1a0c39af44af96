"""Weight files: reading, matching, converting, downloading and writing them."""
