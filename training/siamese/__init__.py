"""What methods share that learn from two random views of an image, with no labels.

Chen and He, 2021, call networks that see two inputs with the same weights Siamese, and SimCLR,
BYOL, SimSiam and MoCo variants of such (https://arxiv.org/abs/2011.10566).
"""
