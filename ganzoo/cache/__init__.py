"""The store as a whole: what is in it, what nothing needs any more, and whether it is undamaged.

contents        everything in the store, with its size, its origin, and why it may be unneeded
removal         `rm` and `prune`
verification    every checksum, and repairs
"""
