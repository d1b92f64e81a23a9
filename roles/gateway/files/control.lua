-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What root asks of the gateway through its socket: to send nobody new to a service for a while, and how the services are.
local cjson = require "cjson.safe"
local answers = require "answers"
local plan = require "plan"
local state = require "state"
local usage = require "usage"
local watch = require "watch"

local control = {}
local LONGEST_DRAIN = 3600 -- seconds

local function described(name)
    return {up = state.up(name), draining = state.draining(name), in_flight = state.counted("in_flight", name), waiting = state.counted("waiting", name),
            context = state.learned("context", name) or cjson.null, prompt_speed = state.learned("speed", name) or cjson.null}
end

local function refuse(value, rule, remedy)
    return answers.refuse(400, ("%s: %s. %s"):format(value, rule, remedy))
end

-- Does with a service what was asked, or says why not.
local function with_service(act)
    if ngx.req.get_method() ~= "POST" then return answers.refuse(405, "POST is needed for " .. ngx.var.uri) end
    local name = tostring(ngx.req.get_uri_args().service)
    local route = plan.routes[name]
    if not route or not route.address then
        return refuse("service=" .. name, "the name of a service of the inventory is needed", "Known: " .. table.concat(plan.services, ", ") .. ".")
    end
    act(name)
    answers.json({[name] = described(name)})
end

function control.drain()
    with_service(function(name)
        local given = tostring(ngx.req.get_uri_args().seconds)
        local seconds = given:find("^[%d.]+$") and tonumber(given)
        if not seconds or seconds < 1 or seconds > LONGEST_DRAIN then
            return refuse("seconds=" .. given, ("a drain lasts from 1 to %d seconds"):format(LONGEST_DRAIN),
                          "Write for example seconds=120; /resume ends it earlier.")
        end
        state.drain(name, seconds)
    end)
end

function control.resume()
    with_service(function(name)
        state.resume(name)
        watch.look(name, true) -- it may have been restarted since the last look
    end)
end

function control.services()
    local found = {}
    for _, name in ipairs(plan.services) do found[name] = described(name) end
    answers.json(found)
end

-- For bunker-usage: as the file has it, with the limits.
function control.usage()
    local limits = {}
    for key, holder in pairs(plan.holders) do limits[key] = holder.tokens_per_day end
    answers.json({rows = usage.rows(), limits = limits})
end

return control
