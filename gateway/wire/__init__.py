"""Pure: bytes to values and back, one file per protocol. May import core; never touches the world."""
