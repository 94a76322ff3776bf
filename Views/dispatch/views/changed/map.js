function (doc) {
  // The documents of replicas by the moment of their last change.
  if (doc.type === 'replicas' && typeof doc.changed === 'number') { emit(doc.changed, null); }
}
