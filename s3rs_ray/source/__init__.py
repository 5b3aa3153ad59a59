"""The source: what a MySQL table is, how it is cut, and how a chunk of it is read."""
