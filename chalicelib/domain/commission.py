"""What an agreement pays. The contract computes the same, with the same rounding; neither ever sees a fraction of a cent."""

from chalicelib.domain.terms import MAX_AMOUNT, Action, Terms


def commission(terms: Terms, action: Action, group: str, amount_minor: int) -> int:
    """Commission in minor units, rounded half up, for the amount of one commission group of an order.

    Amounts that fall into no bracket, and groups the terms do not name, earn nothing.
    Raises ValueError for an amount the network cannot hold.
    """
    if not 0 <= amount_minor <= MAX_AMOUNT:
        raise ValueError(f"amount {amount_minor}: from 0 to {MAX_AMOUNT} minor units")
    for rule in terms.rules:
        if (rule.action, rule.group) == (action, group) and rule.from_amount <= amount_minor < rule.upper:
            return rule.pays(amount_minor)
    return 0
