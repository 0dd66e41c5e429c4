"""Training of the built-in models: data, stages, the loop, and rendered figures."""
