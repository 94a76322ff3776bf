function (doc) {
  // [project, attempts, RSE, position] of the files that can be reserved: a row for each RSE that holds a readable
  // replica, one with an empty RSE where no replica is needed.
  var pool = doc.pool;
  if (doc.type !== 'file' || doc.lock !== 0 || doc.done !== 0 || !pool || typeof pool.project !== 'number') { return; }
  var rses = pool.virtual === true ? [''] : pool.rses;
  for (var i = 0; Array.isArray(rses) && i < rses.length; i++) {
    emit([pool.project, pool.attempts || 0, rses[i], pool.position || 0], null);
  }
}
