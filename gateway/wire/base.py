"""The gateway's own address, as one agent reaches it; system addresses in answers are rewritten to it."""

from gateway.core.value import positional_value


@positional_value
class Base:
    root: str
    """`http://127.0.0.1:8080`: scheme and authority that the agent used."""
    own: str = ""
    """The system that this host belongs to (`hosts:`); empty where systems are path prefixes."""

    def prefix(self, system: str) -> str:
        """What stands before the system's paths on this host: `/stripe`, or nothing on its own host."""
        return "" if system == self.own else f"/{system}"

    def reaches(self, system: str) -> bool:
        """True if the system has an address on this host. On one system's own host, only that system does."""
        return not self.own or system == self.own
