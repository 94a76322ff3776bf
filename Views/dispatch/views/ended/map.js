function (doc) {
  // The projects that came to their end, by the moment; the value is the number.
  if (doc.type !== 'project' || typeof doc.project !== 'number') { return; }
  var moment = doc.state === 'abandoned' ? doc.abandoned || doc.idle_at : doc.ended;
  if (['done', 'failed', 'cancelled', 'abandoned'].indexOf(doc.state) < 0 || typeof moment !== 'number') { return; }
  emit(moment, doc.project);
}
