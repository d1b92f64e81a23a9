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

function plan.load(path)
    for name, value in pairs(assert(cjson.decode(content(path)))) do plan[name] = value end
    plan.services = {} -- the names of services, in order
    plan.models = {} -- those of services and providers, and aliases of services
    plan.at = {} -- who stands at which address
    plan.provider_keys = {}
    for name, route in pairs(plan.routes) do
        for _, field in ipairs {"address", "fallback", "key_file", "kind"} do
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
    end
    for alias, service in pairs(plan.aliases) do
        if plan.routes[service] then plan.models[#plan.models + 1] = alias else plan.aliases[alias] = nil end -- a run without services says them too
    end
    plan.may_ask = {} -- origins of pages
    for _, origin in ipairs(plan.origins) do plan.may_ask[origin] = true end
    plan.expires = plan.expires or {} -- hash of a key to the second in which it ends
    table.sort(plan.services)
    table.sort(plan.models)
end

-- Who has this name: itself, or the service of which it is an alias; nothing for a name that nobody has.
function plan.named(name)
    return plan.routes[name] and name or plan.aliases[name]
end

-- Whose key has this hash; nobody's once its time is over, without any further run.
function plan.holder(hash, now)
    local ends = plan.expires[hash]
    return not (ends and now >= ends) and plan.keys[hash] or nil
end

plan.content = content
return plan
