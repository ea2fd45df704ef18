"""Text of a class by a language model: control tokens, sequences that keep them, what they gave."""
