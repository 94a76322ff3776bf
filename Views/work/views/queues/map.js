function (doc) {
  // [set, requirements, -priority, created]: the open tokens in queues, of each of which a machine can run all or none.
  if (doc.lock !== 0 || doc.done !== 0) { return; }
  var pool = doc.pool === undefined ? {} : doc.pool;
  if (pool === null || typeof pool !== 'object' || Array.isArray(pool)) { return; }
  var isOurs = typeof pool.set === 'string';
  if ((pool.kind || 'command') !== 'command' || doc.type === 'file' || doc.type === 'disco') { return; }
  // Without a set, only what PiCaS calls a token: other programs have documents with a lock too.
  if (!isOurs && doc.type !== 'token') { return; }
  var needs = pool.requires, parts = [], shape = '';
  if (needs && typeof needs === 'object' && !Array.isArray(needs)) {
    for (var name in needs) { parts.push(JSON.stringify([name, needs[name]])); }
    if (parts.length > 0) { shape = '[' + parts.sort().join(',') + ']'; }
  }
  var priority = Number(pool.priority) || 0, created = 0;
  // A token of which nobody knows when it was made counts as the oldest.
  if (typeof pool.created === 'number') { created = pool.created; }
  else if (typeof doc.created === 'number') { created = doc.created; }
  // The second number is greater the better the priority, and the older among equals.
  emit([isOurs ? pool.set : '', shape, -priority, created], [priority, priority * 1e11 - created]);
}
