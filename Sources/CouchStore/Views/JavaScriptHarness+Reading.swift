extension JavaScriptHarness {
    /// A function of the harness that tells map functions which only read their document: those can all be given the same
    /// one, which saves reading its text again for each. Whoever fools it harms other views of his own design document only.
    static let onlyReads = #"""
        // Whether a function's text has nothing in it that changes a document. Says no when in doubt: no assignment to a
        // member, none of the functions that change what they are called on, but on an array of the function's own.
        function onlyReads(text) {
          const source = text.replace(/^\s*\/\/.*$/gm, '');
          const writes = [
            /`|\/[*\/]/,
            /(?:[\]}]|\.\s*[\w$\u0080-\uffff]+)\s*(?:[-+*\/%&|^]|<<|>>>?|\*\*|&&|\|\||\?\?)?=(?![=>])/,
            /(?:\+\+|--)\s*[\w$()\[\]]*[.\[]/, /(?:\]|\.\s*[\w$]+)\s*(?:\+\+|--)/, /\]\s*\(/, /\\u/,
            /\bfor\s*\(\s*[\w$]+\s*[.\[]/,
            /\b(?:delete|with|eval|Function|Reflect|require|globalThis|__\w+__|constructor)\b/,
            /\b(?:assign|define\w+|setPrototypeOf|freeze|seal|preventExtensions|copyWithin)\b/
          ];
          if (writes.some(function (write) { return write.test(source); })) return false;
          const changing = /(?:(^|[^\w$.\])])([A-Za-z_]\w*)\.)?\b(?:push|pop|shift|unshift|splice|sort|reverse|fill)\b/g;
          for (let found = changing.exec(source); found !== null; found = changing.exec(source)) {
            const name = found[2];
            if (name === undefined || source.includes('=>')) return false;
            const given = source.match(new RegExp('\\b' + name + '\\s*=(?!=)', 'g')) || [];
            const isOwn = given.length === 1 && new RegExp('\\b' + name + '\\s*=\\s*\\[\\s*\\]').test(source)
              && !new RegExp('(?:function[^()]*|catch\\s*)\\([^)]*\\b' + name + '\\b').test(source)
              && !new RegExp('\\b' + name + '\\s+(?:of|in)\\b').test(source);
            if (!isOwn) return false;
          }
          return true;
        }
        """#
}
