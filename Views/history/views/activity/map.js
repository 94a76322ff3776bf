function (doc) {
  // What happened to files: [project, day, hour, five minutes, ten seconds] since 1970, and the same under 0 for all projects.
  // The value counts created, reserved, done, failed, failed and put back, timed out, reset.
  var bins = {}, pool = doc.pool || {}, project = typeof doc.project === 'number' ? doc.project : pool.project;
  if (typeof project !== 'number') { return; }
  function note(time, place, count) {
    if (typeof time !== 'number' || !(time > 0)) { return; }
    var bin = Math.floor(time / 10);
    if (!bins[bin]) { bins[bin] = [0, 0, 0, 0, 0, 0, 0]; }
    bins[bin][place] += count;
  }
  if (doc.type === 'project') {
    if (doc.state !== 'creating' && doc.state !== 'deleting') { note(doc.created, 0, doc.files || 0); }
  } else if (doc.type === 'file') {
    for (var i = 0; Array.isArray(pool.history) && i < pool.history.length; i++) {
      var attempt = pool.history[i] || {}, back = attempt.reason === 'retry';
      if (attempt.worker) { note(attempt.started, 1, 1); }
      if (attempt.outcome === 'done') { note(attempt.ended, 2, 1); }
      if (attempt.outcome === 'failed') { note(attempt.ended, back ? 4 : 3, 1); }
      if (attempt.outcome === 'lapsed') { note(attempt.ended, 5, 1); }
      if (attempt.outcome === 'reset') { note(attempt.ended, 6, 1); }
    }
    if (pool.lease && doc.lock > 0 && doc.done === 0) { note(pool.reserved, 1, 1); }
  }
  for (var bin in bins) {
    var key = [project, Math.floor(bin / 8640), Math.floor(bin / 360) % 24, Math.floor(bin / 30) % 12, bin % 30];
    emit(key, bins[bin]);
    emit([0].concat(key.slice(1)), bins[bin]);
  }
}
