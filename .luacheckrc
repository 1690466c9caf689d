-- For scripts/check_lua.py: scripts that run inside Redis.
std = "lua51"
read_globals = {"redis", "cjson", "KEYS", "ARGV"}
max_line_length = 120
