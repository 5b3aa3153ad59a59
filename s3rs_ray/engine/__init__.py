"""The engine: what will be done, one chunk of it, on which machines, in which order."""
