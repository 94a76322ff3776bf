/// The JavaScript that stands between us and the functions of design documents.
///
/// It is evaluated once in every context, before anything else, and keeps its own references to what it needs. It takes
/// and gives JSON texts: a text crosses into JavaScriptCore far faster than a tree of values.
enum JavaScriptHarness {
    /// A call that works through a batch gives back what it has after this time, so that the limit of a call is one for
    /// a single document however many stand in the batch.
    static let sliceMilliseconds = 1000

    static let source = #"""
        (function (global) {
          const parse = JSON.parse, stringify = JSON.stringify, now = Date.now, isArray = Array.isArray;
          const evaluate = global.eval, text = String;
          const slice = \#(sliceMilliseconds);
          for (const name of ['console', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'gc', 'print', 'load', 'quit']) {
            delete global[name];
          }

          // What a call that was stopped said is not what the next one says: each begins with nothing.
          let emitted = [], logged = [], root = {}, modules = Object.create(null);

          global.emit = function (key, value) { emitted[emitted.length] = key; emitted[emitted.length] = value; };
          global.sum = function (values) {
            let total = 0;
            for (let i = 0; i < values.length; i++) total += values[i];
            return total;
          };
          global.log = function (message) {
            if (logged.length < 100) logged[logged.length] = typeof message === 'string' ? message : text(stringify(message));
          };
          global.isArray = isArray;
          global.toJSON = function (value) { return stringify(value); };

          // Whatever was thrown may itself throw when it is looked at.
          function describe(error) {
            try {
              if (error instanceof Error) return error.name + ': ' + error.message;
              if (typeof error === 'object' && error !== null) return stringify(error);
              return text(error);
            } catch (another) { return 'an error that can not be told'; }
          }

          function compile(source) {
            let result;
            try {
              result = evaluate('(function () { var f =\n' + source + '\n; return f; })()');
            } catch (error) {
              throw { error: 'compilation_error', reason: describe(error) + ' (' + source + ')' };
            }
            if (typeof result !== 'function') {
              throw { error: 'compilation_error', reason: 'Expression does not eval to a function. (' + source + ')' };
            }
            return result;
          }

          // CommonJS: names lead through the members of the design document to a text.
          function resolve(path, base) {
            const names = path.split('/'), relative = names[0] === '.' || names[0] === '..';
            const at = relative ? base.slice() : [];
            for (const name of names) {
              if (name === '..') at.pop(); else if (name !== '.' && name !== '') at.push(name);
            }
            let value = root;
            for (const name of at) {
              if (typeof value !== 'object' || value === null || !Object.prototype.hasOwnProperty.call(value, name)) {
                throw { error: 'invalid_require_path', reason: 'Object has no property "' + name + '". (' + path + ')' };
              }
              value = value[name];
            }
            if (typeof value !== 'string') {
              throw { error: 'invalid_require_path', reason: 'Must require a JavaScript string, not: ' + typeof value };
            }
            return { at: at, source: value };
          }
          function load(path, base) {
            const found = resolve(text(path), base), id = found.at.join('/');
            if (modules[id] === undefined) {
              const module = { id: id, exports: {} }, folder = found.at.slice(0, -1);
              modules[id] = module;
              try {
                const body = evaluate('(function (module, exports, require) {' + found.source + '\n})');
                body.call(module.exports, module, module.exports, function (next) { return load(next, folder); });
              } catch (error) {
                delete modules[id];
                if (error && error.error) throw error;
                throw { error: 'compilation_error', reason: 'Module require(\'' + path + '\') raised ' + describe(error) };
              }
            }
            return modules[id].exports;
          }
          global.require = function (path) { return load(path, []); };

          const maps = [], reduces = [], compiled = Object.create(null);
          // For each map function whether it leaves documents as they are.
          const readers = [];

          \#(onlyReads)

          // For each document and each function an array [key, value, key, value …], or 0 when it emitted nothing: first all
          // functions of the first document.
          function mapAll(batch) {
            const began = now(), step = maps.length, results = [];
            logged = [];
            let count = -1, shared = null, untouched;
            // In CouchDB's words (share/server/views.js). The id is that of the document as it came: the function may have changed its own.
            function tell(error, document) {
              if (untouched === undefined) untouched = parse(batch);
              global.log('function raised exception (' + describe(error) + ') with doc._id ' + untouched[document]._id);
            }
            for (let f = 0; f < step; f++) {
              const map = maps[f];
              // Who may change a document gets a copy of its own, so that no other sees what it did.
              let documents;
              if (readers[f]) { documents = shared === null ? shared = parse(batch) : shared; } else { documents = parse(batch); }
              if (count < 0) count = documents.length;
              for (let d = 0, at = f; d < count; d++, at += step) {
                emitted = [];
                try {
                  map(documents[d]);
                  results[at] = emitted.length === 0 ? 0 : emitted;
                } catch (error) {
                  results[at] = 0;
                  tell(error, d);
                }
                if ((d & 15) === 15 && now() - began > slice) { count = d + 1; break; }
              }
            }
            emitted = [];
            results.length = count * step;
            let body;
            try { body = stringify(results); } catch (error) {
              // Something can not be written as JSON: its document counts as one that threw, for this function. What is nested
              // so deep that it can only just be written must not be written as a part of something else.
              const texts = results.map(function (rows, at) {
                try { return stringify(rows); } catch (error) {
                  tell(error, (at - at % step) / step);
                  return '0';
                }
              });
              body = '[' + texts.join(',') + ']';
            }
            const messages = logged;
            logged = [];
            return '[' + count + ',' + stringify(messages) + ',' + body + ']';
          }

          // calls: [function, length of the input, keys or null, values]; rereduce when there are no keys.
          function reduceAll(batch) {
            const began = now(), calls = parse(batch), results = [];
            logged = [];
            let count = 0;
            while (count < calls.length) {
              const call = calls[count];
              let value = null;
              try {
                value = stringify(reduces[call[0]](call[2], call[3], call[2] === null));
                if (value === undefined) value = 'null';
                if (value.length > 5000 && value.length * 2 > call[1]) {
                  value = stringify({ reduce_overflow_error:
                    'Reduce output must shrink more rapidly: input size: ' + call[1] + ' output size: ' + value.length });
                }
              } catch (error) {
                value = 'null';
                global.log('reduce function raised exception (' + describe(error) + ')');
              }
              results[count] = value;
              count++;
              if (now() - began > slice) break;
            }
            const messages = logged;
            logged = [];
            return '[' + count + ',' + stringify(messages) + ',[' + results.join(',') + ']]';
          }

          // A function of the design document by its path, compiled once.
          function named(path) {
            const id = stringify(path);
            if (compiled[id] === undefined) {
              let value = root;
              for (const name of path) value = value === undefined || value === null ? undefined : value[name];
              if (typeof value !== 'string') throw { error: 'not_found', reason: 'missing json key: ' + path[path.length - 1] };
              compiled[id] = compile(value);
            }
            return compiled[id];
          }

          function guarded(body) {
            let result;
            logged = [];
            try {
              result = { ok: body() };
            } catch (error) {
              result = { thrown: error instanceof Error || typeof error !== 'object' || error === null
                ? { error: error instanceof Error ? error.name : 'unnamed_error', reason: describe(error) } : error };
            }
            const messages = logged;
            logged = [];
            if (messages.length) result.log = messages;
            try { return stringify(result); }
            catch (error) { return stringify({ thrown: { error: 'unnamed_error', reason: describe(error) } }); }
          }

          function answer(value) {
            return typeof value === 'string' ? { body: value } : value;
          }

          return {
            setRoot: function (json) { root = parse(json); modules = Object.create(null); return ''; },
            compile: function (source) { return guarded(function () { compile(source); return true; }); },
            addMap: function (source) {
              return guarded(function () {
                maps.push(compile(source));
                readers.push(onlyReads(source));
                return true;
              });
            },
                        addReduce: function (source) { return guarded(function () { reduces.push(compile(source)); return true; }); },
            map: mapAll,
            reduce: reduceAll,
            validate: function (newDoc, oldDoc, user, security) {
              return guarded(function () {
                named(['validate_doc_update'])(parse(newDoc), parse(oldDoc), parse(user), parse(security));
                return true;
              });
            },
            filter: function (path, documents, request) {
              return guarded(function () {
                const filter = named(parse(path)), req = parse(request);
                return parse(documents).map(function (doc) { return !!filter(doc, req); });
              });
            },
            filterByMap: function (path, documents) {
              return guarded(function () {
                const map = named(parse(path));
                return parse(documents).map(function (doc) {
                  emitted = [];
                  map(doc);
                  return emitted.length > 0;
                });
              });
            },
            update: function (path, doc, request) {
              return guarded(function () {
                const result = named(parse(path))(parse(doc), parse(request));
                // CouchDB takes the first two of whatever it is: of 'just text' the answer is 'u' (recording update_handlers).
                if (result === undefined || result === null) {
                  throw { error: 'render_error', reason: 'undefined response from update function' };
                }
                return [result[0] === undefined ? null : result[0], answer(result[1] === undefined ? {} : result[1])];
              });
            },
            // Has begin, send and nextPage of ours on it.
            list: function (path, head, request) {
              const host = this;
              let response = {}, chunks = [], size = 0, rows = [], next = 0, isOpen = false, isOver = false;
              function flush() {
                if (!isOpen) {
                  isOpen = true;
                  host.begin(stringify({ code: response.code, headers: response.headers }));
                }
                if (size === 0) return;
                const part = chunks.join('');
                chunks = [];
                size = 0;
                if (host.send(part) === null) throw new Error('nobody reads the answer any more');
              }
              global.start = function (given) { response = given || {}; };
              global.send = function (chunk) {
                chunk = text(chunk);
                chunks.push(chunk);
                size += chunk.length;
                if (isOpen && size > 65536) flush();
              };
              global.getRow = function () {
                if (isOver) return null;
                if (!isOpen) flush();
                if (next >= rows.length) {
                  rows = parse(host.nextPage());
                  next = 0;
                  if (rows.length === 0) { isOver = true; return null; }
                }
                return rows[next++];
              };
              return guarded(function () {
                const tail = named(parse(path))(parse(head), parse(request));
                if (tail !== undefined && tail !== null) global.send(tail);
                flush();
                return true;
              });
            },
            show: function (path, doc, request) {
              return guarded(function () {
                const result = named(parse(path))(parse(doc), parse(request));
                return result === undefined || result === null ? {} : answer(result);
              });
            }
          };
        })(this)
        """#
}
