"""The warehouse: every statement as text, one connection that runs them, and the load that happens exactly once."""
