function (doc) {
  // [set, -priority]: the open tokens of one set, best first.
  if (doc.lock !== 0 || doc.done !== 0 || !doc.pool || typeof doc.pool.set !== 'string') { return; }
  emit([doc.pool.set, -(Number(doc.pool.priority) || 0)], null);
}
