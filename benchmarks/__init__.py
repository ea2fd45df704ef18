"""What the claims of speed and robustness rest on."""
