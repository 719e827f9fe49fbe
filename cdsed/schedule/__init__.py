"""Ticks: things that fall due with time. A tick only enqueues or notes; workers do the work."""
