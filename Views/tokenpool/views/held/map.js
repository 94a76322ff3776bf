function (doc) {
  // Tokens whose set is still being written or released, by set.
  if (doc.lock === -2 && doc.done === 0 && doc.pool && doc.pool.hold) { emit(doc.pool.set, doc.pool.hold); }
}
