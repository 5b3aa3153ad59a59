"""Storage: where things lie on S3, in which form, and the conditional writes everything rests on."""
