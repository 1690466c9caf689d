"""The scripts of addresses.py, in lua/. Each touches the keys of one hash tag, and is one atomic step."""

from __future__ import annotations

from relay.store import Script

DONE, YOURS, OTHERS, FREE = b"done", b"yours", b"others", b"free"  # replies of the scripts on an address hash
AGAIN = b"again"  # of those that throw mail away: not all is done
TAKEN, FULL, NO_ACCOUNT = 1, 0, -1  # first replies of TAKE

TAKE = Script.load("accounts/lua/address_take.lua")
CLAIM = Script.load("accounts/lua/address_claim.lua")
UNCLAIM = Script.load("accounts/lua/address_unclaim.lua")
UPDATE = Script.load("accounts/lua/address_update.lua")
RELEASE = Script.load("accounts/lua/address_release.lua")
