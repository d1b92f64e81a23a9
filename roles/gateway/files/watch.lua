-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Asks the services how they are, how much a prompt may hold, and how fast they read one.
local cjson = require "cjson.safe"
local ask = require "ask"
local plan = require "plan"
local state = require "state"

local watch = {}
local LEARN_EVERY = 10 -- seconds

-- Tokens read since its start and the seconds that took. Of others' questions it shows no trace, unlike the server's own average between two questions.
local function learn_speed(_premature, name, address)
    local status, text = ask(address, "GET", "/metrics", nil, 2000)
    if status ~= 200 then return end
    local tokens = tonumber(text:match("\nllamacpp:prompt_tokens_total ([%d.e+]+)"))
    local seconds = tonumber(text:match("\nllamacpp:prompt_seconds_total ([%d.e+-]+)"))
    if tokens and seconds and tokens > 0 and seconds > 0 then state.learn("speed", name, tokens / seconds) end
end

local function learn(name, address)
    state.learn("asked", name, state.now())
    local status, text = ask(address, "GET", "/props", nil, 2000)
    local props = status == 200 and cjson.decode(text)
    local settings = type(props) == "table" and props.default_generation_settings
    local context = type(settings) == "table" and settings.n_ctx -- of one slot
    if type(context) == "number" and context > 0 then state.learn("context", name, context) end
    local slots = type(props) == "table" and props.total_slots -- how many it answers at once
    if type(slots) == "number" and slots > 0 then state.learn("slots", name, slots) end
    ngx.timer.at(0, learn_speed, name, address) -- the server answers this one between two batches only
end

-- A service that came back may hold less than before: that is learned before it is called up.
function watch.look(name, anew)
    local address, began = plan.routes[name].address, state.now()
    local up = ask(address, "GET", "/health", nil, 2000) == 200
    if up and (anew or not state.up(name) or began - (state.learned("asked", name) or 0) >= LEARN_EVERY) then learn(name, address) end
    state.saw(name, up, began)
end

-- One worker asks all services every second; each in a light thread of its own, so that a silent one delays no other.
function watch.start()
    if ngx.worker.id() ~= 0 then return end
    local function round(premature)
        if premature then return end
        for _, name in ipairs(plan.services) do ngx.thread.spawn(watch.look, name) end
    end
    ngx.timer.at(0, round)
    ngx.timer.every(1, round)
end

return watch
