"""Typed settings from YAML, and the accounts with their secrets from a file of their own.

All problems of a file are reported together, each with its line, its key and its remedy.
"""
