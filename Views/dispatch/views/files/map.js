function (doc) {
  // [project, state, position] of every file, [project, 'reserved', worker, position] of one that somebody has; the value is
  // the moment when something last happened to it.
  var pool = doc.pool, state = 'failed';
  if (doc.type !== 'file' || !pool || typeof pool.project !== 'number') { return; }
  if (doc.done === 0) {
    if (doc.lock !== 0 && !(doc.lock > 0)) { return; }
    state = doc.lock === 0 ? 'initial' : 'reserved';
  } else if (doc.done > 0 && parseInt(doc.exit_code) === 0) { state = 'done'; }
  var key = [pool.project, state], worker = pool.lease && pool.lease.worker;
  if (state === 'reserved') { key.push(typeof worker === 'string' ? worker : ''); }
  key.push(pool.position || 0);
  emit(key, typeof pool.at === 'number' ? pool.at : 0);
}
