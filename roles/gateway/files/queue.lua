-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- A stream for which its service has no slot free. llama-server says nothing until one is, and clients give up; so the gateway says the head and comments
-- meanwhile, and then moves the bytes of this one answer itself: behind a head that Lua has sent nginx can pass no other.
local client = require "client"
local plan = require "plan"
local relay = require "relay"
local state = require "state"

local queue = {}
local CONNECT, SEND = 2000, 120000 -- milliseconds, as nginx has them for all others
local LOOK = 1 -- seconds of silence of the service after which the client is looked for

-- Whether this service answers as many as it can at once, the one that asks (and is counted) left out. HTTP/1.0 knows no answers in pieces, and where a
-- service may be silent for no longer than a comment is away nobody would hear one.
local function full(name)
    if plan.response_timeout <= plan.comment_interval then return false end
    local slots = state.learned("slots", name)
    return slots and ngx.req.http_version() >= 1.1 and state.counted("in_flight", name) > slots
end

-- The connection on which a request was sent; nothing where that fails, and the usual way shall deal with it.
local function asked(address, path, body)
    local host, port = address:match("^(.*):(%d+)$")
    local socket = ngx.socket.tcp()
    socket:settimeouts(CONNECT, SEND, LOOK * 1000)
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

-- A line of the answer; nothing from a service that ended or was silent for too long. waiting: is called after each LOOK, and ends it by false.
local function line_of(socket, waiting)
    local begun, ends = "", ngx.now() + plan.response_timeout
    while true do
        local line, problem, part = socket:receive("*l")
        if line then return begun .. line end
        begun = begun .. (part or "")
        if problem ~= "timeout" or ngx.now() >= ends then return end
        client.leave_if_gone()
        if waiting and not waiting() then return end
    end
end

-- The first line, waited for with a comment at each interval.
local function first_line(socket)
    local due = ngx.now() + plan.comment_interval
    return line_of(socket, function()
        if ngx.now() < due - LOOK / 10 then return true end -- two clocks
        due = ngx.now() + plan.comment_interval
        return say(":\n\n")
    end)
end

local function patience(socket, seconds)
    socket:settimeouts(CONNECT, SEND, seconds * 1000)
end

-- The next piece of a body in chunks; "" at its end, nothing where it broke off.
local function piece(socket)
    patience(socket, LOOK)
    local digits = (line_of(socket) or ""):match("^%x+")
    if not digits then return end
    local size = tonumber(digits, 16)
    patience(socket, plan.response_timeout)
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
    local metered = ngx.ctx.metered
    ngx.ctx.metered = nil -- of a prompt that still waits when its client leaves, or its service dies, nothing was read
    local line = first_line(socket)
    ngx.ctx.metered = (line or not ngx.headers_sent) and metered or nil
    patience(socket, plan.response_timeout)
    local head = line and socket:receiveuntil("\r\n\r\n")()
    local status = head and tonumber(line:match("^HTTP/1%.%d (%d+)"))
    if not status or (status == 503 and not ngx.headers_sent) then
        if not ngx.headers_sent then -- it may be asked once more, or its fallback: nginx does that
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
