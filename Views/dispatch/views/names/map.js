function (doc) {
  // [namespace, name] of the files that somebody may still want to read, for whoever moves their replicas.
  var input = doc.input;
  if (doc.type !== 'file' || doc.done !== 0 || !input || !doc.pool || doc.pool.virtual === true) { return; }
  emit([input.namespace, input.name], null);
}
