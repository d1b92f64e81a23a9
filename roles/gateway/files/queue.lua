-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- A stream for which its service has no slot free. llama-server says nothing until one is, and clients give up; so the gateway says the head and comments
-- meanwhile, and then moves the bytes of this one answer itself: behind a head that Lua has sent nginx can pass no other.
local api = require "api"
local plan = require "plan"
local relay = require "relay"
local state = require "state"

local queue = {}
local CONNECT, SEND = 2000, 120000 -- milliseconds, as nginx has them for all others

-- Whether this service answers as many as it can at once, the one that asks (and is counted) left out. HTTP/1.0 knows no answers in pieces.
local function full(name)
    local slots = state.learned("slots", name)
    return slots and ngx.req.http_version() >= 1.1 and state.counted("in_flight", name) > slots
end

-- The connection on which a request was sent; nothing where that fails, and the usual way shall deal with it.
local function asked(address, path, body)
    local host, port = address:match("^(.*):(%d+)$")
    local socket = ngx.socket.tcp()
    socket:settimeouts(CONNECT, SEND, plan.comment_interval * 1000)
    if not socket:connect(host, tonumber(port)) then return end
    local sent = socket:send({"POST ", path, " HTTP/1.1\r\nHost: ", address, "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ",
                              #body, "\r\n\r\n", body})
    return sent and socket
end

local function begin()
    if ngx.headers_sent then return end
    ngx.header["Content-Type"] = "text/event-stream"
    ngx.send_headers()
end

-- Prints for the client; nothing once it has gone.
local function say(text)
    begin()
    return ngx.print(text) and ngx.flush(true)
end

-- The first line of the answer, waited for with a comment at each interval; nothing for a service that ended or was silent for too long.
local function first_line(socket)
    local ends = ngx.now() + plan.response_timeout
    while true do
        local line, problem = socket:receive("*l")
        if line or problem ~= "timeout" or ngx.now() >= ends then return line end
        if not say(":\n\n") then return end
    end
end

-- The next piece of a body in chunks; "" at its end, nothing where it broke off.
local function piece(socket)
    local digits = (socket:receive("*l") or ""):match("^%x+")
    if not digits then return end
    local size = tonumber(digits, 16)
    local data = size > 0 and socket:receive(size) or size == 0 and ""
    return data and socket:receive(2) and data or nil
end

local function pass(socket)
    begin()
    ngx.flush(true)
    repeat
        local data = piece(socket)
        if not data then return say(relay.interrupted()) end
        if data ~= "" and not say(data) then return end
    until data == ""
    ngx.ctx.ended = true
end

-- What is no stream is an error. Nobody was told of a 200 yet: it has its status; else it is the stream's only event.
local function refuse(socket, status, length)
    local text = length and socket:receive(length) or socket:receive("*a") or ""
    if ngx.headers_sent then return say(relay.as_event(status, text)) end
    ngx.status = status
    ngx.print(text)
end

-- access phase: answers a stream that has to queue. Returns whether it did.
function queue.answer(name, path, body)
    if not full(name) then return false end
    local socket = asked(plan.routes[name].address, path, body)
    if not socket then return false end
    ngx.ctx.queued, ngx.var.bunker_queued = true, plan.routes[name].address
    local line = first_line(socket)
    socket:settimeouts(CONNECT, SEND, plan.response_timeout * 1000)
    local head = line and socket:receiveuntil("\r\n\r\n")()
    local status = head and tonumber(line:match("^HTTP/1%.%d (%d+)"))
    if not status then
        if not ngx.headers_sent then -- it may be asked once more, or its fallback
            ngx.ctx.queued, ngx.var.bunker_queued = nil, ""
            socket:close()
            return false
        end
        say(relay.interrupted())
    elseif status == 200 and head:lower():find("transfer%-encoding: *chunked") then
        pass(socket)
    else
        refuse(socket, status, tonumber(head:lower():match("content%-length: *(%d+)")))
    end
    socket:close()
    ngx.exit(ngx.HTTP_OK)
    return true
end

return queue
