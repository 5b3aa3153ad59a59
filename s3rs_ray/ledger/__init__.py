"""The ledger: what is known of every table, in one object each, written only by conditional PUT."""
