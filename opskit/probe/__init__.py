"""Whether the registry is healthy. One module a layer; each yields findings, and `runner` makes results of them.

Data first: `result` is what a check says, `render` how it is shown.
"""
