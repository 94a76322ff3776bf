function (doc) {
  // Log documents, PiCaS' and ours, by the moment; the value is Python's number of the level.
  if (doc.type === 'log' && typeof doc.created === 'number') { emit(doc.created, doc.lvl); }
}
