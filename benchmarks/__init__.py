"""How fast the pipeline is beside the reading speed of the source: ``make bench``, ``make bench-full``."""
