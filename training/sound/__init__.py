"""Sound as pictures and back: WAV files, log-mel spectrograms, and what can be heard of them.

NumPy and SciPy alone; a picture has a row for each band, the highest first, and a column for each
frame.
"""
