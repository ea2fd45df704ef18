"""Transfer by features: what the source computes is what the target's head reads."""
