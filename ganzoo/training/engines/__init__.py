"""How a training step is executed: eagerly, as a recorded graph, or compiled."""
