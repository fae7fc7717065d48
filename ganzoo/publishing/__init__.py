"""Publishing weights on the Hugging Face Hub: the model card and the commit."""
