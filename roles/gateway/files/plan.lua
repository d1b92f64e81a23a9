-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What the role wrote for the gateway, read once a (re)load: who may ask, who answers where, keys that providers want.
local cjson = require "cjson.safe"
local kinds = require "kinds"

local plan = {}

local function content(path)
    local stream = assert(io.open(path, "rb"))
    local text = stream:read("*a")
    stream:close()
    return text
end

-- A set of the values, or nothing for none.
local function listed(values)
    local found
    for _, value in ipairs(values) do
        found = found or {}
        found[value] = true
    end
    return found
end

function plan.load(path)
    for name, value in pairs(assert(cjson.decode(content(path)))) do plan[name] = value end
    plan.services = {} -- the names of services, in order
    plan.models = {} -- those of services and providers, and aliases of services
    plan.at = {} -- who stands at which address
    plan.provider_keys = {}
    plan.holders = {} -- what the inventory says of holders of keys, by their names
    for name, route in pairs(plan.routes) do
        for _, field in ipairs {"address", "fallback", "failsafe", "key_file", "kind"} do
            if route[field] == "" then route[field] = nil end -- "" is true in Lua
        end
        plan.models[#plan.models + 1] = name
        if route.address then
            plan.services[#plan.services + 1] = name
            plan.at[route.address] = name
        end
        if route.key_file then plan.provider_keys[name] = content(route.key_file):gsub("%s+$", "") end
    end
    for _, route in pairs(plan.routes) do
        local other = route.fallback and plan.routes[route.fallback]
        if other and not kinds.alike(route.kind, other.kind) then route.fallback = nil end
        -- Vectors and ranks of another model mean nothing beside those of the service.
        if not kinds.does(route.kind, "/v1/chat/completions") then route.failsafe = nil end
    end
    for alias, service in pairs(plan.aliases) do
        if plan.routes[service] then plan.models[#plan.models + 1] = alias else plan.aliases[alias] = nil end -- a run without services says them too
    end
    for _, holder in ipairs(plan.limits) do
        plan.holders[holder.name] = {aliases = {}, may = listed(holder.models), tokens_per_day = holder.tokens_per_day > 0 and holder.tokens_per_day or nil}
        for alias, service in pairs(holder.aliases) do
            if plan.routes[service] then plan.holders[holder.name].aliases[alias] = service end
        end
    end
    plan.may_ask = {} -- origins of pages
    for _, origin in ipairs(plan.origins) do plan.may_ask[origin] = true end
    plan.expires = plan.expires or {} -- hash of a key to the second in which it ends
    table.sort(plan.services)
    table.sort(plan.models)
end

local NOBODY = {aliases = {}}

local function holder_of(key)
    return plan.holders[key] or NOBODY -- the operator, and who has no limits
end

-- Whom this name means for the holder of a key: itself, or the service of which it is an alias; nothing for a name that nobody has.
function plan.named(name, key)
    return plan.routes[name] and name or holder_of(key).aliases[name] or plan.aliases[name]
end

-- Whether the holder of a key may ask a service or provider.
function plan.may(key, name)
    local may = holder_of(key).may
    return not may or may[name] or false
end

-- The provider that answers for a service where nobody here can, if the holder of the key may be led there: prompts leave the host.
function plan.failsafe(key, name)
    local other = plan.routes[name].failsafe
    return other and plan.may(key, other) and other or nil
end

-- How many tokens a day the holder of a key may have, or nothing for as many as they like.
function plan.tokens_per_day(key)
    return holder_of(key).tokens_per_day
end

-- The names by which the holder of a key may ask, in order.
function plan.known_to(key)
    local found = {}
    for _, name in ipairs(plan.models) do
        if plan.may(key, plan.named(name, key)) then found[#found + 1] = name end
    end
    for alias, service in pairs(holder_of(key).aliases) do
        if not plan.aliases[alias] and plan.may(key, service) then found[#found + 1] = alias end
    end
    table.sort(found)
    return found
end

-- Whose key has this hash; nobody's once its time is over, without any further run.
function plan.holder(hash, now)
    local ends = plan.expires[hash]
    return not (ends and now >= ends) and plan.keys[hash] or nil
end

plan.content = content
return plan
