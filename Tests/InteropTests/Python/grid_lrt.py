"""What users of GRID_LRT 1.0.7 do, with the real package: grid_lrt.py COMMAND ARGUMENTS…; what is seen goes out as JSON."""
import json
import os
import sys
import types

# Importing it asks for staging credentials and for gfal2, neither of which tokens need.
os.environ.setdefault("LOFAR_LTA_USER", "nobody")
os.environ.setdefault("LOFAR_LTA_PWD", "nothing")
sys.modules.setdefault("gfal2", types.ModuleType("gfal2"))

from cloudant.client import CouchDB
from GRID_LRT.token import TokenJsonBuilder, TokenList, caToken


def create(database, token_type, config, attachment, *ids):
    tokens = TokenList(token_type=token_type, database=database)
    for id in ids:
        token = caToken(database=database, token_type=token_type, token_id=id)
        token.build(TokenJsonBuilder(config))
        # The configuration's own id would be every token's.
        token["_id"] = id
        token.save()
        token.add_attachment(attachment_name="srm.txt", filename=attachment)
        tokens.append(token)
    tokens.add_token_views()


def listed(database, token_type, view):
    tokens = TokenList(token_type=token_type, database=database)
    found = tokens.list_view_tokens(view)
    print(json.dumps(sorted(token["_id"] for token in found)))


def reset(database, token_type, *ids):
    for id in ids:
        token = caToken(database=database, token_type=token_type, token_id=id)
        token.fetch()
        token.reset()
        token.save()


def views(database, token_type):
    tokens = TokenList(token_type=token_type, database=database)
    print(json.dumps(sorted(tokens.get_views())))
    print(json.dumps(database["_design/" + token_type].get("PICAS_API_VERSION")))


client = CouchDB(
    os.environ["PICAS_USER"], os.environ["PICAS_PASSWORD"], url=os.environ["PICAS_URL"], connect=True)
globals()[sys.argv[1]](client[os.environ["PICAS_DB"]], *sys.argv[2:])
client.disconnect()
