"""What we know: pure values and functions.

Standard library only; no clock, no network, no database, no file.
"""
