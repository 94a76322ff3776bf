function (doc) {
  // [owner, state, number] of every project that can be seen, and the same under an empty owner.
  if (doc.type !== 'project' || typeof doc.project !== 'number') { return; }
  if (doc.state === 'creating' || doc.state === 'deleting') { return; }
  emit([doc.owner, doc.state, doc.project], null);
  emit(['', doc.state, doc.project], null);
}
