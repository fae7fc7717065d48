"""Metrics of generated samples, under named protocols.

report         what an evaluation found, and its file beside a run
features       images -> features; those of real images are stored
extractors     the extractors of one evaluation
real           the real samples of a protocol
measurement    samples of a model -> report
neighbours     samples beside their nearest real images
checking       published numbers against measured ones
"""
