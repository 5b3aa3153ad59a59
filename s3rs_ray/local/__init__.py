"""The embedded stack: a private MariaDB, S3 server and Redshift stand-in for the demo and the tests.

Nothing in production imports this package. It needs the extra ``s3rs-ray[local]`` and a MariaDB or MySQL server
program on the machine.
"""
