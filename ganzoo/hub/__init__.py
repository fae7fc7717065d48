"""The Hugging Face Hub: verified downloads, search, and signatures."""
