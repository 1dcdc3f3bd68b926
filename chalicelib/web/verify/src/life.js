// What a conversion has been since it was recorded: the other half of ops/receipt_life.py.

import { effectiveStatus } from './network.js';

/**
 * Its states {since, status, amount, commission, verified}, oldest first, the last one from the lock.
 * `recorded` is {entries, recordedAt, due, lock, silenceApprovesAll}; `changes` are {at, block, logIndex, transaction} in seconds with
 * either `decision`, or `place`, `amount` and `verified` of an amendment; `pays` gives an entry's commission for an amount.
 */
export const statesOf = (recorded, pays, changes) => {
  const { entries, recordedAt, due, lock, silenceApprovesAll } = recorded;
  const amounts = entries.map((entry) => entry.amount);
  const verified = entries.map((entry) => entry.verified);
  let decision = 'open';
  const sum = (values) => values.reduce((total, each) => total + each, 0n);
  const state = (since) => ({
    since,
    status: effectiveStatus(decision, verified[0], silenceApprovesAll, due, lock, since),
    amount: sum(amounts),
    commission: sum(entries.map((entry, place) => pays(entry, amounts[place]))),
    verified: verified.every(Boolean),
  });

  const steps = [];
  for (const change of [...changes].sort((one, other) => one.block - other.block || one.logIndex - other.logIndex)) {
    const last = steps.at(-1);
    if (last?.made[0].transaction === change.transaction) last.made.push(change);
    else steps.push({ at: change.at, made: [change] });
  }
  steps.push({ at: due, made: [] }, { at: lock, made: [] });
  const states = [state(recordedAt)];
  // Blocks may share a second: the sort keeps the chain's order among them.
  for (const { at, made } of steps.sort((one, other) => one.at - other.at)) {
    for (const change of made) {
      if ('amount' in change) {
        amounts[change.place] = change.amount;
        verified[change.place] ||= change.verified;
      } else if (at < lock) decision = change.decision;
    }
    states.push(state(at));
  }
  return states;
};
