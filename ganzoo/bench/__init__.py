"""How fast a recipe trains and samples on this machine, and how fast the program starts.

plain, loader    the loop that tutorials write: the baseline, and its own reading of the data
ways             every way of doing the work, each ready to take steps
seat             the process that a way has for itself
race             the ways in turn, and what was found
startup          commands in turn
table            the CSV files that both add to
"""
