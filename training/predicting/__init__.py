"""Examples shown to trained models, and what they say: one owner for all that ask."""
