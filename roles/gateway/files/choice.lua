-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Which service answers: the one that was asked, the one that stands in for it, or nobody yet.
local balancer = require "ngx.balancer"
local answers = require "answers"
local client = require "client"
local context = require "context"
local plan = require "plan"
local state = require "state"

local choice = {}
local POLL = 0.2 -- seconds

-- How things are at this moment: who answers and why not the one that was asked, or whom to wait for, or why nobody can (nobody: "down", "drain", "context").
local function find(wanted, fallback, prompt)
    local unsure, awaited, reason
    if state.usable(wanted) then
        local verdict = context.judge(wanted, prompt)
        if verdict == "yes" then return {name = wanted} end
        reason = "context"
        if verdict == "unknown" then unsure = wanted end
    else
        awaited = state.awaited(wanted) and wanted
        reason = (awaited or state.draining(wanted) > 0) and "drain" or "down"
    end
    if fallback and state.up(fallback) and state.usable(fallback) then
        local verdict = context.judge(fallback, prompt)
        if verdict == "yes" then return {name = fallback, reason = reason} end
        if verdict == "unknown" and (not unsure or state.learned("context", fallback) > (state.learned("context", wanted) or 0)) then unsure = fallback end
    elseif fallback and state.awaited(fallback) and context.likely(fallback, prompt) then
        awaited = awaited or fallback
    end
    if unsure == wanted then return {name = wanted} end
    if awaited then return {awaited = awaited} end
    if unsure then return {name = unsure, reason = reason} end
    if reason == "down" then return {name = wanted, nobody = reason} end -- it is tried all the same
    if reason == "drain" then return {missing = wanted, nobody = reason} end
    if fallback and not state.up(fallback) and context.likely(fallback, prompt) then return {missing = fallback, nobody = reason} end
    return {too_long = true, nobody = reason}
end

local function unavailable(name)
    return answers.refuse(503, ("%s is drained or down, and nobody who is up can answer this for it. Ask again."):format(name))
end

local function wait_for(name)
    local waits = ngx.var.bunker_waits
    if waits ~= name then
        if waits ~= "" then state.count("waiting", waits, -1) end
        if name ~= "" then state.count("waiting", name, 1) end
        ngx.var.bunker_waits = name
    end
    if name ~= "" then
        ngx.sleep(POLL)
        client.leave_if_gone()
    end
end

-- access phase: the name of who answers, or nothing after a refusal. outside: the provider that answers where nobody here can, or nothing.
function choice.make(wanted, prompt, outside)
    local fallback, ends = plan.routes[wanted].fallback, state.now() + plan.drain_wait
    local found
    repeat
        found = find(wanted, fallback, prompt)
        if found.awaited and state.now() >= ends then
            if not outside then return unavailable(found.awaited) end
            found = {nobody = "drain"}
        end
        if outside and found.nobody then
            wait_for("")
            ngx.var.bunker_reason = found.nobody
            return outside
        end
        if found.awaited then wait_for(found.awaited) end
    until not found.awaited and not (found.name and not state.enter(found.name))
    wait_for("")
    if found.missing then return unavailable(found.missing) end
    if found.too_long then
        ngx.ctx.too_long = true
        local message, more = context.refuse({wanted, fallback}, prompt)
        return answers.refuse(400, message, more)
    end
    ngx.var.bunker_counted, ngx.var.bunker_reason = found.name, found.reason or ""
    ngx.ctx.second = found.name == wanted and fallback and context.likely(fallback, prompt) and fallback or nil
    return found.name
end

-- balancer phase: the first try and, when it failed before anything was answered, the second
function choice.connect()
    local name, second = ngx.var.bunker_counted, ngx.ctx.second
    local may = second and state.up(second) and state.usable(second)
    if balancer.get_last_failure() then
        state.saw(name, false, state.now()) -- until the next look
        if not may or not state.enter(second) then return ngx.exit(ngx.DECLINED) end
        state.count("in_flight", name, -1)
        ngx.var.bunker_counted, ngx.var.bunker_reason = second, "down"
        name = second
    elseif may then
        balancer.set_more_tries(1)
    end
    local host, port = plan.routes[name].address:match("^(.*):(%d+)$")
    assert(balancer.set_current_peer(host, tonumber(port)))
end

-- log phase: also for clients that went away while they waited
function choice.forget()
    if ngx.var.bunker_counted ~= "" then state.count("in_flight", ngx.var.bunker_counted, -1) end
    if ngx.var.bunker_waits ~= "" then state.count("waiting", ngx.var.bunker_waits, -1) end
end

return choice
