"""How fast a recipe trains and samples on this machine, and how fast the program starts. Only `ganzoo bench` uses it.

baseline    the loop that a tutorial would write
variants    the baseline, our engines and sampling, each ready to take steps
worker      the process of a variant
compare     the variants in turn, and the results
startup     the commands in turn
table       the CSV files of both
"""
