function (doc) {
  // Tokens that workers without leases hold (PiCaS, GRID_LRT), by the moment of the lock.
  if (typeof doc.lock !== 'number' || !(doc.lock > 0) || doc.done !== 0) { return; }
  var lease = doc.pool && doc.pool.lease;
  if (!lease || lease.since !== doc.lock) { emit(doc.lock, null); }
}
