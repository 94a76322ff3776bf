function (doc) {
  // The end of the lease of every locked token: a sweep reads only what has lapsed.
  if (!(doc.lock > 0) || doc.done !== 0) { return; }
  var lease = doc.pool && doc.pool.lease;
  // A lease written with another lock is a leftover: a worker that knows no leases has the token now.
  if (lease && typeof lease.until === 'number' && lease.since === doc.lock) { emit(lease.until, null); }
}
