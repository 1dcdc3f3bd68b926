"""What a box's resources are called: everything follows from the merchant's id, so two boxes can never share one."""

from __future__ import annotations

from dataclasses import dataclass

APP = "box"
"""Chalice names its functions, roles and rules `<APP>-<merchant>-<function>`; short, for AWS allows 64 characters."""
REST_HANDLER = "api_handler"
LONGEST_NAME = 64
RULE_SUFFIX = "-event"
"""Chalice's, on the EventBridge rule of a schedule: the longest of the names it makes."""


@dataclass(frozen=True)
class Names:
    merchant: str

    @property
    def prefix(self) -> str:
        """Of the tables, the queue, the alarms and the stack itself."""
        return f"merchant-box-{self.merchant}"

    @property
    def parameters(self) -> str:
        """The path of the box's secrets in the parameter store."""
        return f"/merchant-box/{self.merchant}"

    def key_alias(self, number: int = 1) -> str:
        """Of the `number`th signing key, from 1."""
        return f"alias/{self.prefix}-signer" + ("" if number == 1 else f"-{number}")

    def function(self, name: str) -> str:
        """Chalice names the REST handler's function after the stage alone, but its role like the others'."""
        return f"{APP}-{self.merchant}" if name == REST_HANDLER else f"{APP}-{self.merchant}-{name}"

    def role(self, name: str) -> str:
        return f"{APP}-{self.merchant}-{name}"

    def log_group(self, name: str) -> str:
        return f"/aws/lambda/{self.function(name)}"


def longest_merchant(functions: list[str]) -> int:
    """How long a merchant's id may be for every name that Chalice makes of it to fit AWS's 64 characters."""
    return LONGEST_NAME - len(APP) - 2 - max(map(len, functions)) - len(RULE_SUFFIX)
