"""What ``make bench`` measures: ratios against a peer run beside it, because absolute times vary."""
