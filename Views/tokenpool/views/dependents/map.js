function (doc) {
  // Who waits for this token or set: one row for each id of `after`.
  if (doc.lock !== -2 || doc.done !== 0 || !doc.pool || !Array.isArray(doc.pool.after)) { return; }
  for (var i = 0; i < doc.pool.after.length; i++) { emit(doc.pool.after[i], null); }
}
