"""For maintainers of a zoo: bundle runs with a package, publish them, and write the leaderboard."""
