"""What a frozen model makes of data, computed once and kept: inputs of a head, a map, a search."""
