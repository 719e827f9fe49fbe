"""Ticks: the periodic work of the daemon. A tick only updates the state; workers do the work."""
