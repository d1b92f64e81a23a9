-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Whether the client of a request is still there. nginx's Lua module looks whether bytes lie ready, and the farewell of TLS, which most clients send before
-- they close, are bytes: it would take them for a client that waits. The kernel knows better.
local base = require "resty.core.base"
local bit = require "bit"
local ffi = require "ffi"

-- How nginx's ngx_connection_t and ngx_http_request_t begin.
ffi.cdef [[
    typedef struct { void *data, *read, *write; int fd; } bunker_connection;
    typedef struct { uint32_t signature; bunker_connection *connection; } bunker_request;
    typedef struct { int fd; short events, revents; } bunker_watched;
    int bunker_poll(bunker_watched *, unsigned long, int) __asm__("poll");
]]
local SIGNATURE = 0x50545448 -- "HTTP", by which nginx knows a request
local POLLERR, POLLHUP, POLLRDHUP = 0x8, 0x10, 0x2000 -- of Linux

local client = {}
local poll = ffi.C.bunker_poll -- looked up at the start, so that a failure shows then
local asked = ffi.new("bunker_watched[1]")

-- Of a request that is not where nginx has them the answer is no.
function client.gone()
    local request = ffi.cast("bunker_request *", base.get_request())
    if request == nil or request.signature ~= SIGNATURE or request.connection.data ~= ffi.cast("void *", request) then return false end
    asked[0].fd, asked[0].events = request.connection.fd, POLLRDHUP
    return poll(asked, 1, 0) == 1 and bit.band(asked[0].revents, POLLERR + POLLHUP + POLLRDHUP) ~= 0
end

-- Ends a request whose client is gone, as nginx does.
function client.leave_if_gone()
    if client.gone() then ngx.exit(499) end
end

return client
