"""Generic supervision: commands kept running, locks judged by the kernel, signals, systemd; no products.

A worker is a command. The supervisor holds one end of a socket, the *lifeline*, whose other end the worker
inherits: the worker says ``ready`` and ``heartbeat`` on it, and its end of file tells the worker that the
supervisor died, however it died.
"""
