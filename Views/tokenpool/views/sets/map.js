function (doc) {
  // The set documents by name.
  if (doc.type !== 'set' || typeof doc.name !== 'string') { return; }
  emit(doc.name, {
    state: doc.state, tokens: doc.tokens, created: doc.created, step: doc.creation ? doc.creation.step : null
  });
}
