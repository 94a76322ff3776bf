function (doc) {
  // Who waits for this token or set: one row for each id of `after` and `after_any`.
  if (doc.lock !== -2 || doc.done !== 0 || !doc.pool) { return; }
  var pool = doc.pool, lists = [pool.after, pool.after_any];
  for (var l = 0; l < 2; l++) {
    for (var i = 0; Array.isArray(lists[l]) && i < lists[l].length; i++) { emit(lists[l][i], null); }
  }
}
