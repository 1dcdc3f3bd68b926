"""The terms a merchant and a publisher agree on, and the EIP-712 form of them that both sign.

Amounts are integers in minor units, rates in millionths. `agreement_id` is the digest that is signed, so an id names the
chain, the contract and every term. The refusals here are those of the contract (contracts/AffiliateNetwork.vy).
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from chalicelib.domain.keccak import keccak256

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


_TYPES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "EIP712Domain": (
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
    ),
    "Agreement": (
        ("merchant", "address"),
        ("publisher", "address"),
        ("currency", "string"),
        ("windowDays", "uint16"),
        ("validationDays", "uint16"),
        ("lockDays", "uint16"),
        ("silenceApprovesAll", "bool"),
        ("hosted", "bool"),
        ("version", "uint32"),
        ("groups", "string[]"),
        ("rules", "Rule[]"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    ),
    "Rule": (
        ("action", "uint8"),
        ("group", "uint8"),
        ("fromAmount", "uint64"),
        ("toAmount", "uint64"),
        ("fixedAmount", "bool"),
        ("value", "uint64"),
    ),
}
DOMAIN_NAME: Final = "Affiliate Network"
DOMAIN_VERSION: Final = "1"


def message(terms: Terms) -> dict[str, Any]:
    """The terms under the names and in the units of the contract: the message that is signed."""
    return {
        "merchant": terms.merchant,
        "publisher": terms.publisher,
        "currency": terms.currency,
        "windowDays": terms.window_days,
        "validationDays": terms.validation_days,
        "lockDays": terms.lock_days,
        "silenceApprovesAll": terms.silence == "all",
        "hosted": terms.hosted,
        "version": terms.version,
        "groups": list(terms.groups),
        "rules": [
            {
                "action": ACTIONS.index(rule.action),
                "group": terms.group_number(rule.group),
                "fromAmount": rule.from_amount,
                "toAmount": rule.upper,
                "fixedAmount": rule.rate is None,
                "value": rule.value,
            }
            for rule in terms.rules
        ],
        "nonce": terms.nonce,
        "deadline": terms.deadline,
    }


def from_message(data: dict[str, Any]) -> Terms:
    """The terms of a signed message or of an AgreementRegistered event. Raises BadTerms, KeyError."""
    groups = tuple(str(name) for name in data["groups"])
    rules = []
    for rule in data["rules"]:
        if int(rule["action"]) > 1 or int(rule["group"]) >= len(groups):
            raise BadTerms("a rule names an action or a group that the terms do not have")
        upper, value = int(rule["toAmount"]), int(rule["value"])
        rules.append(
            Rule(
                action=ACTIONS[int(rule["action"])],
                group=groups[int(rule["group"])],
                from_amount=int(rule["fromAmount"]),
                to_amount=None if upper == NO_UPPER_END else upper,
                rate=None if rule["fixedAmount"] else value,
                fixed=value if rule["fixedAmount"] else None,
            )
        )
    return Terms(
        merchant=data["merchant"],
        publisher=data["publisher"],
        currency=data["currency"],
        rules=tuple(rules),
        deadline=int(data["deadline"]),
        window_days=int(data["windowDays"]),
        validation_days=int(data["validationDays"]),
        lock_days=int(data["lockDays"]),
        silence="all" if data["silenceApprovesAll"] else "verified",
        hosted=bool(data["hosted"]),
        version=int(data["version"]),
        nonce=int(data["nonce"]),
        groups=groups,
    )


def eip712(terms: Terms, chain_id: int, contract: str) -> dict[str, Any]:
    """The typed data for eth_signTypedData_v4 or eth_account's `encode_typed_data(full_message=...)`."""
    return {
        "types": {name: [{"name": n, "type": t} for n, t in fields] for name, fields in _TYPES.items()},
        "primaryType": "Agreement",
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": chain_id,
            "verifyingContract": contract,
        },
        "message": message(terms),
    }


def agreement_id(terms: Terms, chain_id: int, contract: str) -> bytes:
    """The agreement's id, 32 bytes: the EIP-712 digest of its terms, which is also what both parties sign."""
    typed = eip712(terms, chain_id, contract)
    return keccak256(b"\x19\x01" + _hash("EIP712Domain", typed["domain"]) + _hash("Agreement", typed["message"]))


def _hash(name: str, data: dict[str, Any]) -> bytes:
    fields = _TYPES[name]
    return keccak256(
        keccak256(_signature(name).encode()) + b"".join(_word(kind, data[field]) for field, kind in fields)
    )


def _signature(name: str) -> str:
    own = name + "(" + ",".join(f"{kind} {field}" for field, kind in _TYPES[name]) + ")"
    return own + _signature("Rule") if name == "Agreement" else own


def _word(kind: str, value: Any) -> bytes:
    if kind.endswith("[]"):
        return keccak256(b"".join(_word(kind[:-2], item) for item in value))
    if kind in _TYPES:
        return _hash(kind, value)
    if kind == "string":
        return keccak256(str(value).encode())
    number = int(value, 16) if kind == "address" else int(value)
    return number.to_bytes(32, "big")
