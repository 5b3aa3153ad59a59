"""The stand-in for Amazon Redshift: a wire server in front of a PostgreSQL, as strict as Redshift, failing closed.

Read from the outside in: ``server`` listens, ``session`` speaks the protocol with one client, ``gate`` decides what a
statement may do and rewrites it, ``load`` runs the COPY, ``catalog`` holds what is created in PostgreSQL beforehand.
``docs/stand-in.md`` lists what is emulated, refused and not modelled.
"""
