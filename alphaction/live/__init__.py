"""Sources of frames that results are shown with."""
