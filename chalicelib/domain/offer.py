"""The terms that a config's `agreementDefaults` offer to a publisher, in the units that both sides sign."""

from chalicelib.domain import money
from chalicelib.domain.agreement import DEFAULT_GROUP, Rule, Terms
from chalicelib.domain.config import CommissionRule, Config

MILLIONTHS_OF_A_PERCENT = 10_000


def offered_terms(
    config: Config, publisher: str, *, nonce: int, version: int, deadline: int, hosted: bool = False
) -> Terms:
    """`nonce` and `version` are the contract's nextAgreement, `deadline` Unix seconds. Raises BadTerms, Unprocessable."""
    defaults = config.agreement_defaults
    return Terms(
        merchant=config.merchant.account,
        publisher=publisher,
        currency=config.currency,
        rules=tuple(rule_of(rule, config.currency) for rule in defaults.rules),
        deadline=deadline,
        window_days=defaults.attribution_window_days,
        validation_days=defaults.validation_days,
        lock_days=defaults.lock_days,
        silence=defaults.silence_approves,
        hosted=hosted,
        version=version,
        nonce=nonce,
        groups=tuple(dict.fromkeys([DEFAULT_GROUP, *(rule.group for rule in defaults.rules)])),
    )


def rule_of(rule: CommissionRule, currency: str) -> Rule:
    """One line of a config as a rule of an agreement. Raises BadTerms, Unprocessable."""
    return Rule(
        action=rule.action,
        rate=None if rule.percent is None else rate_of(rule.percent),
        fixed=None if rule.fixed is None else money.parse_amount(rule.fixed, currency),
        group=rule.group,
        from_amount=money.parse_amount(rule.from_amount, currency),
        to_amount=None if rule.to_amount is None else money.parse_amount(rule.to_amount, currency),
    )


def rate_of(percent: str) -> int:
    """`"2.5"` percent in millionths: 25000. Raises ValueError where a millionth cannot say it exactly."""
    whole, _, fraction = percent.partition(".")
    if fraction[4:].strip("0"):
        raise ValueError(f"{percent} %: at most four decimals")
    return int(whole) * MILLIONTHS_OF_A_PERCENT + int(fraction[:4].ljust(4, "0"))
