"""What every method shares that trains a network with a head on labelled texts or images."""
