function (doc) {
  // The tokens of each set that somebody holds, for the limits of sets.
  if (!(doc.lock > 0) || doc.done !== 0 || !doc.pool || typeof doc.pool.set !== 'string') { return; }
  emit(doc.pool.set, null);
}
