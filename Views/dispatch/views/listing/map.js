function (doc) {
  // [project, position] of every file, in the order in which the project was made.
  var pool = doc.pool;
  if (doc.type === 'file' && pool && typeof pool.project === 'number') { emit([pool.project, pool.position || 0], null); }
}
