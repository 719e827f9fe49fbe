"""Generic supervision: commands that are kept running, locks of the kernel, signals, systemd; no products.

A worker is a command. The supervisor holds one end of a socket pair, the *parent pipe*. The worker inherits the other
end and sends ``ready`` and ``heartbeat`` on it. The worker reads end of file when the supervisor has died, in any way.
"""
