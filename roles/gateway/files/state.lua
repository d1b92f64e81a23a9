-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What all workers of nginx know of the services. It lies in memory that they share and that a reload keeps.
local plan = require "plan"

local state = {}
local shared = ngx.shared.bunker_services

local function now()
    ngx.update_time() -- workers compare their times
    return ngx.now()
end
state.now = now

-- For so many seconds at most nobody new is sent there. Afterwards it has to be seen in health once before it is asked again.
function state.drain(name, seconds)
    local ends = now() + seconds
    shared:set("unconfirmed:" .. name, ends, seconds + plan.drain_wait)
    shared:set("drain:" .. name, ends, seconds)
end

function state.resume(name)
    if not shared:get("drain:" .. name) then return end
    shared:set("unconfirmed:" .. name, now(), plan.drain_wait)
    shared:delete("drain:" .. name)
end

function state.draining(name)
    local ends = shared:get("drain:" .. name)
    return ends and math.max(ends - now(), 0.001) or 0
end

-- What a look at its health, begun at that time, found.
function state.saw(name, up, began)
    if up then
        local ended = shared:get("unconfirmed:" .. name)
        if ended and ended <= began then shared:delete("unconfirmed:" .. name) end
        shared:delete("down_since:" .. name)
    else
        shared:add("down_since:" .. name, began)
    end
    shared:set("health:" .. name, up and 1 or 0)
end

function state.up(name)
    return shared:get("health:" .. name) == 1
end

-- A service that was not looked at yet may be asked.
function state.usable(name)
    return shared:get("health:" .. name) ~= 0 and not shared:get("drain:" .. name) and not shared:get("unconfirmed:" .. name)
end

-- Drained, and neither back nor away for too long: its requests wait.
function state.awaited(name)
    if not shared:get("drain:" .. name) and not shared:get("unconfirmed:" .. name) then return false end
    local since = shared:get("down_since:" .. name)
    return not since or now() - since < plan.drain_wait
end

-- Requests are counted by the worker that has them, so that a worker that crashed takes its own along.
local function place(kind, name)
    return ("%s:%s:%d"):format(kind, name, ngx.worker.pid())
end

function state.count(kind, name, step)
    shared:incr(place(kind, name), step, 0)
end

-- Counted first, looked at the drain then: whoever drains and counts afterwards has not overlooked it.
function state.enter(name)
    state.count("in_flight", name, 1)
    if not shared:get("drain:" .. name) then return true end
    state.count("in_flight", name, -1)
    return false
end

local function lives(process)
    local stream = io.open("/proc/" .. process .. "/comm", "rb")
    local name = stream and stream:read("*l")
    if stream then stream:close() end
    return name == "nginx"
end

function state.counted(kind, name)
    local sum = 0
    for _, key in ipairs(shared:get_keys(0)) do
        local of, whose, process = key:match("^([a-z_]+):(.*):(%d+)$")
        if of == kind and whose == name then
            if lives(process) then sum = sum + (shared:get(key) or 0) else shared:delete(key) end
        end
    end
    return sum
end

-- What is learned of a service stays known while it is down.
function state.learn(what, name, value)
    shared:set(what .. "_of:" .. name, value)
end

function state.learned(what, name)
    return shared:get(what .. "_of:" .. name)
end

return state
