"""Typed settings from YAML, and the accounts with their secrets, which live in a file of their own.

Every problem of a file is reported at once, each with its line, its key and its remedy.
"""
