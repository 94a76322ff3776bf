function (doc) {
  // What somebody must see to, by the moment: a sweep reads only what is due.
  var pool = doc.pool || {};
  if (doc.lock > 0 && doc.done === 0) {
    var lease = pool.lease;
    // A lease written with another lock is a leftover: a worker that knows no leases has the token now.
    if (lease && typeof lease.until === 'number' && lease.since === doc.lock) {
      emit(lease.until, doc.type === 'file' ? 'file' : 'lease');
    }
  } else if (doc.lock === -2 && doc.done === 0) {
    if (!pool.hold && typeof pool.not_before === 'number') { emit(pool.not_before, 'token'); }
  } else if (doc.type === 'set' && doc.creation) {
    if (doc.state === 'deleting' || (doc.state === 'ready' && doc.creation.step === 'releasing')) {
      emit(typeof doc.creation.until === 'number' ? doc.creation.until : 0, 'set');
    }
  } else if (doc.type === 'worker' && typeof doc.until === 'number') {
    emit(doc.until, 'worker');
  } else if (doc.type === 'project') {
    if (doc.state === 'creating' || doc.state === 'deleting') {
      emit(typeof doc.until === 'number' ? doc.until : 0, 'project');
    } else if (doc.state === 'active' && typeof doc.idle_at === 'number') { emit(doc.idle_at, 'project'); }
  } else if (doc.type === 'replicas' && typeof doc.spread === 'number') { emit(doc.spread, 'replicas'); }
}
