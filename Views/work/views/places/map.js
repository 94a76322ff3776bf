function (doc) {
  // [set, requirements, -priority, place]: the tokens of work/queues, spread over places by a hash of the id (FNV-1a,
  // below 65536), so that workers begin at different ones. The last digit does not count: ten tokens that were made one
  // after the other lie side by side on disk and in indexes, and cost less when they are taken together.
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
  var id = doc._id, digit = id.length - 1;
  while (digit >= 0 && !(id[digit] >= '0' && id[digit] <= '9')) { digit--; }
  var hash = 2166136261;
  // Two rounds more, in which there is no character, so that the last one counts in all bits.
  for (var i = 0; i < id.length + 2; i++) {
    if (i === digit) { continue; }
    hash ^= id.charCodeAt(i);
    hash += (hash << 1) + (hash << 4) + (hash << 7) + (hash << 8) + (hash << 24);
  }
  emit([isOurs ? pool.set : '', shape, -(Number(pool.priority) || 0), (hash ^ hash >>> 16) & 65535], null);
}
