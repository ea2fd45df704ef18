"""Methods in which what a source learned helps a labelled task."""
