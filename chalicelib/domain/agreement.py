"""The EIP-712 form of an agreement, which both parties sign. `agreement_id` is the digest that is signed, so an id names the
chain, the contract and every term. The terms themselves: chalicelib/domain/terms.py.
"""

from typing import Any, Final

from chalicelib.domain.keccak import keccak256
from chalicelib.domain.terms import (
    ACTIONS,
    DEFAULT_GROUP,
    GRACE_DAYS,
    MAX_AMOUNT,
    MAX_DAYS,
    MAX_GROUPS,
    MAX_RATE,
    MAX_RULES,
    NO_UPPER_END,
    Action,
    BadTerms,
    Rule,
    Silence,
    Terms,
)

__all__ = [
    "ACTIONS",
    "DEFAULT_GROUP",
    "GRACE_DAYS",
    "MAX_AMOUNT",
    "MAX_DAYS",
    "MAX_GROUPS",
    "MAX_RATE",
    "MAX_RULES",
    "NO_UPPER_END",
    "Action",
    "BadTerms",
    "Rule",
    "Silence",
    "Terms",
    "agreement_id",
    "eip712",
    "from_message",
    "message",
]

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
