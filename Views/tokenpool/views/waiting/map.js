function (doc) {
  // Tokens that wait for a time or for others, by that time (0: only for others). Held ones wait for their set instead.
  if (doc.lock !== -2 || doc.done !== 0) { return; }
  var pool = doc.pool || {};
  if (!pool.hold) { emit(typeof pool.not_before === 'number' ? pool.not_before : 0, null); }
}
