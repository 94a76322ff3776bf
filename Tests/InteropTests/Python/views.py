"""Makes PiCaS' views in the design document that is named, with picas' own add_view: views.py DESIGN.

The conditions are those that PiCaS documents for its Monitor views.
"""
import sys

from pool import open_pool

CONDITIONS = {
    "todo": "doc.lock == 0 && doc.done == 0",
    "locked": "doc.lock > 0 && doc.done == 0",
    "done": "doc.lock > 0 && doc.done > 0 && parseInt(doc.exit_code) == 0",
    "error": "doc.lock > 0 && doc.done > 0 && parseInt(doc.exit_code) != 0",
}

db = open_pool()
for name, condition in CONDITIONS.items():
    db.add_view(
        name,
        "function(doc) { if (doc.type == 'token') { if (%s) { emit(doc._id, doc._id); } } }" % condition,
        design_doc=sys.argv[1],
    )
branches = " ".join("if (%s) { emit('%s', 1); }" % (condition, name) for name, condition in CONDITIONS.items())
db.add_view(
    "overview_total",
    "function(doc) { if (doc.type == 'token') { %s } }" % branches,
    reduce_fun="function(key, values, rereduce) { return sum(values); }",
    design_doc=sys.argv[1],
)
