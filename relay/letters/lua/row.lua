-- Part of scripts that read the index: where the fields of one of its rows stand, as layout.FIELDS has them.
-- KEYS, ARGV  none of its own
-- A row is {"<ms>-<seq>", {"o", owner, "e", epoch, "b", bytes of row and letter, "r", what lists show}}.
local OWNER, EPOCH, BYTES, SHOWN = 2, 4, 6, 8
