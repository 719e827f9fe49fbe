"""What ``make bench`` measures: ratios against something run beside it; absolute times are noise."""
