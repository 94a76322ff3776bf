function (doc) {
  // [kind, -priority]: what a worker may claim now, best first; ties in the order of ids.
  if (doc.lock !== 0 || doc.done !== 0) { return; }
  var pool = doc.pool || {};
  var kind = pool.kind || (doc.type === 'file' || doc.type === 'disco' ? doc.type : 'command');
  emit([kind, -(Number(pool.priority) || 0)], null);
}
