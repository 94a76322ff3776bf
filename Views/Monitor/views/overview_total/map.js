function (doc) {
  if (doc.type != 'token') { return; }
  if (doc.lock == 0 && doc.done == 0) { emit('todo', 1); }
  if (doc.lock > 0 && doc.done == 0) { emit('locked', 1); }
  if (doc.lock > 0 && doc.done > 0) { emit(parseInt(doc.exit_code) == 0 ? 'done' : 'error', 1); }
}
