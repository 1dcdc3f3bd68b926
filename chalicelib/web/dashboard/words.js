// The words for statuses, network states and reasons, in one place.

export const STATUS = {
  open: ['Open', 'Tracked; the merchant has not decided yet. Silence until the due date decides as the agreement says.'],
  approved: ['Approved', 'Confirmed; the commission is earned, and can still be reversed until the lock date.'],
  sale: ['Sale', 'The lock date has passed: final. The commission is payable and nothing changes it again.'],
  rejected: ['Rejected', 'Declined, with a reason code. No commission.'],
};

/** Network states: what a row says, and what that means. */
export const NETWORK = {
  none: ['–', 'Nothing of this conversion goes onto the network.'],
  held: ['Held', 'Kept off the network until it is verified or approved, as the config says.'],
  pending: ['Waiting', 'Stored in the box; its transaction is not sent yet.'],
  sent: ['Sent', 'The transaction is signed and sent, and not in a block yet.'],
  mined: ['In a block', 'In a block that the network could still take back.'],
  confirmed: ['Confirmed', 'In a block that the network will not take back.'],
  failed: ['Sent again', 'The transaction failed; the box prepares another.'],
  replaced: ['Sent again', 'The transaction was replaced; the box prepares another.'],
  setAside: ['Set aside', 'The network refuses it; the reason is below.'],
};

export const UNATTRIBUTED = {
  no_click: 'without a click or voucher',
  unknown_click: 'with an unknown click',
  outside_window: 'outside the attribution window',
  unknown_voucher: 'with an unknown voucher',
};

/** The reason codes a merchant may reject with. */
export const REASONS = {
  returned: 'Returned by the customer',
  cancelled: 'Cancelled',
  unpaid: 'Not paid',
  duplicate: 'The same order twice',
  fraud: 'Fraud',
  terms: 'Against the terms',
  test: 'A test order',
  refund: 'Refunded',
  other: 'Another reason',
};

/** Those and the ones that nobody gives: what the network, or the box, says of a rejection. */
export const WHY_REJECTED = {
  ...REASONS,
  superseded: 'The order went to another click or voucher that the merchant’s server named',
  unverified: 'Nobody verified it by its lock date',
};

export const SOURCE = { tag: 'Tag in the browser', 'signed-tag': 'Signed tag', server: "Merchant's server" };
export const RULE = { last_click: 'Last click', voucher: 'Voucher', none: 'Nobody' };

/** Why signing stands still, and what ends it. */
export const PAUSED = {
  out_of_funds: ['Signing is paused: the signer is out of funds.', 'Send the network’s coin to this account; signing resumes by itself. Sales are still taken and stored.'],
  key_revoked: ['Signing is paused: the signing key is revoked or expired.', 'Authorise a key with the merchant’s account; signing resumes by itself. Sales are still taken and stored. The key is'],
};

/** The short name of a publisher's or unnamed conversion. */
export const nameOf = (conversion) => conversion.orderId ?? `${conversion.conversionId.slice(0, 8)}…`;
