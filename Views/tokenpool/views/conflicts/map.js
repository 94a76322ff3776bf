function (doc) {
  // Documents with more than one living revision, the winner first.
  if (doc._conflicts) { emit(doc._id, [doc._rev].concat(doc._conflicts)); }
}
