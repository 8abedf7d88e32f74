r"""Files, weights, data sets, the progress line, memory: what the paper takes for granted."""
