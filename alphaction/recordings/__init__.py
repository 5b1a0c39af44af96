"""What a thermal sensor wrote: recordings, their repair, raw files, and data sets made of them."""
