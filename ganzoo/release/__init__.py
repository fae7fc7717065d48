"""For maintainers of weights: bundle runs with a package, publish them, and write the leaderboard."""
