"""One folder an architecture; :mod:`training.backbones.registry` lists them."""
