"""The terms a merchant and a publisher agree on. Amounts are integers in minor units, rates in millionths.

The refusals here are those of the contract (contracts/AffiliateNetwork.vy), made before anybody signs: what is refused here
is never registered either, so whatever the network logs can be read as Terms. tests/contract/test_agreements.py holds both to it.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["sale", "lead"]
Silence = Literal["verified", "all"]

ACTIONS: Final[tuple[Action, ...]] = ("sale", "lead")  # position = number on chain
DEFAULT_GROUP: Final = "default"  # commission group 0 of every agreement
MAX_AMOUNT: Final = 2**40 - 1  # minor units; five bytes on chain
MAX_RATE: Final = 1_000_000  # millionths: all of the amount
MAX_RULES: Final = 16
MAX_GROUPS: Final = 16
MAX_DAYS: Final = 1000
GRACE_DAYS: Final = 3  # the contract's, after end + attribution window
NO_UPPER_END: Final = 2**40

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")


class BadTerms(ValueError):
    """Terms that no party should sign. The message names the field and what would be right."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a bracket [from_amount, to_amount) of one action and commission group pays.

    Exactly one of `rate` (millionths of the amount) and `fixed` (minor units) is given. `to_amount` None = no upper end.
    """

    action: Action
    rate: int | None = None
    fixed: int | None = None
    group: str = DEFAULT_GROUP
    from_amount: int = 0
    to_amount: int | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise BadTerms(f"action {self.action!r}: use 'sale' or 'lead'")
        if not _GROUP.match(self.group):
            raise BadTerms(
                f"group {self.group!r}: 1 to 32 letters, digits, '.', '_' or '-', the first a letter or digit"
            )
        if not 0 <= self.from_amount < self.upper <= NO_UPPER_END:
            raise BadTerms(
                f"bracket [{self.from_amount}, {self.to_amount}): the upper end must lie above the lower, both below 2^40"
            )
        if (self.rate is None) == (self.fixed is None):
            raise BadTerms("a rule pays either a rate or a fixed amount: give exactly one of them")
        if self.rate is not None and not 0 <= self.rate <= MAX_RATE:
            raise BadTerms(f"rate {self.rate}: millionths of the amount, from 0 to {MAX_RATE}")
        if self.fixed is not None and not 0 <= self.fixed <= MAX_AMOUNT:
            raise BadTerms(f"fixed {self.fixed}: minor units, from 0 to {MAX_AMOUNT}")

    @property
    def upper(self) -> int:
        """The bracket's end as the chain has it."""
        return NO_UPPER_END if self.to_amount is None else self.to_amount

    @property
    def value(self) -> int:
        return self.rate if self.rate is not None else self.fixed or 0

    def pays(self, amount: int) -> int:
        """Commission in minor units for an amount inside the bracket, rounded half up."""
        if self.rate is None:
            return self.value
        return (amount * self.rate + MAX_RATE // 2) // MAX_RATE


@dataclass(frozen=True, slots=True)
class Terms:
    """An agreement. Addresses are 0x hex; `nonce` and `version` are what `nextAgreement` of the contract says,
    `deadline` is the last moment (Unix seconds) at which the signatures can be used.

    `groups` are the names of the commission groups, the default one first; a rule names one of them. `rules` are put into
    the order the contract wants. Raises BadTerms.
    """

    merchant: str
    publisher: str
    currency: str
    rules: tuple[Rule, ...]
    deadline: int
    window_days: int = 30
    validation_days: int = 30
    lock_days: int = 60
    silence: Silence = "verified"
    hosted: bool = False
    version: int = 1
    nonce: int = 0
    groups: tuple[str, ...] = (DEFAULT_GROUP,)

    def __post_init__(self) -> None:
        for field in ("merchant", "publisher"):
            address = getattr(self, field)
            if not _ADDRESS.match(address) or int(address, 16) == 0:
                raise BadTerms(f"{field} {address!r}: an account is 0x and 40 hex digits")
        if self.merchant.lower() == self.publisher.lower():
            raise BadTerms("merchant and publisher are the same account: an agreement has two parties")
        if not _CURRENCY.match(self.currency):
            raise BadTerms(f"currency {self.currency!r}: an ISO 4217 code such as EUR")
        self._check_days()
        if self.silence not in ("verified", "all"):
            raise BadTerms(f"silence {self.silence!r}: use 'verified' or 'all'")
        if not 1 <= self.version < 2**32 or not 0 <= self.nonce < 2**64 or not 0 <= self.deadline < 2**256:
            raise BadTerms("version, nonce or deadline out of range: ask the contract's nextAgreement")
        self._check_groups()
        object.__setattr__(self, "rules", tuple(sorted(self.rules, key=self._order)))
        self._check_rules()

    def _check_days(self) -> None:
        if not 0 <= self.window_days <= MAX_DAYS:
            raise BadTerms(f"window_days {self.window_days}: from 0 to {MAX_DAYS}")
        if not 1 <= self.lock_days <= MAX_DAYS:
            raise BadTerms(f"lock_days {self.lock_days}: from 1 to {MAX_DAYS}")
        if not 0 <= self.validation_days <= self.lock_days:
            raise BadTerms(f"validation_days {self.validation_days}: from 0 to lock_days ({self.lock_days})")

    def _check_groups(self) -> None:
        if self.groups[:1] != (DEFAULT_GROUP,):
            raise BadTerms(f"groups: the first is {DEFAULT_GROUP!r}, the group of a conversion that names none")
        if len(self.groups) > MAX_GROUPS or len(set(self.groups)) != len(self.groups):
            raise BadTerms(f"groups: at most {MAX_GROUPS} different names")
        for name in self.groups:
            if not _GROUP.match(name):
                raise BadTerms(f"group {name!r}: 1 to 32 letters, digits, '.', '_' or '-'")

    def _check_rules(self) -> None:
        if not 1 <= len(self.rules) <= MAX_RULES:
            raise BadTerms(f"rules: from 1 to {MAX_RULES}")
        for before, after in zip(self.rules, self.rules[1:], strict=False):
            if (before.action, before.group) == (after.action, after.group) and after.from_amount < before.upper:
                raise BadTerms(
                    f"rules overlap: {after.action} {after.group} has [{before.from_amount}, {before.to_amount}) "
                    f"and [{after.from_amount}, {after.to_amount})"
                )

    def _order(self, rule: Rule) -> tuple[int, int, int]:
        return ACTIONS.index(rule.action), self.group_number(rule.group), rule.from_amount

    def group_number(self, group: str) -> int:
        """The number a commission group has on chain. Raises BadTerms for a group these terms do not name."""
        try:
            return self.groups.index(group)
        except ValueError:
            raise BadTerms(f"group {group!r} is not one of {', '.join(self.groups)}") from None
