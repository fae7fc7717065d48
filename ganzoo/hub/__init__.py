"""The Hugging Face Hub: weights in, verified byte by byte, and weights out."""
