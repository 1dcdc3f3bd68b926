// Which version of a pair's terms was in force when: the other half of ops/versions.py. A version is {number, agreement, from, to}, in
// seconds, `to` null while it has not ended.

const inForce = (versions, at) => versions.findLast((v) => v.from <= at && (v.to === null || at < v.to)) ?? null;

/** What may have been in force at a moment that a clock `tolerance` seconds off tells; null = nothing. */
export const inForceAbout = (versions, at, tolerance) => {
  const changes = versions.flatMap((v) => [v.from, v.to]).filter((when) => when !== null);
  const near = changes.filter((when) => Math.abs(when - at) <= tolerance);
  // Of two that came in one second the first was in force too, if not for long.
  const cameAbout = versions.filter((v) => Math.abs(v.from - at) <= tolerance);
  return [...cameAbout, ...[at, at - tolerance, ...near].map((moment) => inForce(versions, moment))];
};
