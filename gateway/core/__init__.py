"""Pure: values in, values out. No await, no clock, no randomness, no I/O. See design section 4."""
