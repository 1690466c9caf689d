"""The scripts of this room, in lua/. Each touches the keys of one inbox, and is one atomic step.

They read rows of the index, never a letter: that would be copied while nobody else gets an answer from Redis. What they
have in common is in find.lua.

Flags are text: "1" when read, else "0"; the folder; the labels; each on a line.
"""

from __future__ import annotations

from relay.store import Script

PAGE = Script.load("mailbox/lua/page.lua")
COPIES = Script.load("mailbox/lua/copies.lua")
COUNT = Script.load("mailbox/lua/count.lua")
FLAG = Script.load("mailbox/lua/flag.lua")
STAR = Script.load("mailbox/lua/star.lua")
DELETE = Script.load("mailbox/lua/delete.lua")
DELETE_ALL = Script.load("mailbox/lua/delete_all.lua")
