function (doc) {
  // The end of the lease of every locked token: a sweep reads only what has lapsed.
  if (!(doc.lock > 0) || doc.done !== 0) { return; }
  var lease = doc.pool && doc.pool.lease;
  if (lease && typeof lease.until === 'number') { emit(lease.until, null); }
}
