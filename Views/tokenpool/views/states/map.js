function (doc) {
  // [set, state] of every token; tokens of no set under "".
  if (typeof doc.lock !== 'number' || typeof doc.done !== 'number') { return; }
  var state = 'error';
  if (doc.done === 0) {
    if (doc.lock === 0) { state = 'todo'; }
    if (doc.lock > 0) { state = 'locked'; }
    if (doc.lock === -2) { state = 'waiting'; }
  } else if (doc.done > 0 && parseInt(doc.exit_code) === 0 && !(doc.lock === 99 && doc.done === 99)) {
    state = 'done';
  }
  var set = doc.pool && doc.pool.set;
  emit([typeof set === 'string' ? set : '', state], null);
}
