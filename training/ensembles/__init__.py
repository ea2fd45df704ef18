"""Several classifiers that answer as one: how they are read, combined, judged and kept."""
