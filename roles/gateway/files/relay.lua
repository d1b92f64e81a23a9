-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What a service answers, on its way to the client: who said it, errors in the words of the API that was asked, and an end for a stream that broke.
local cjson = require "cjson.safe"
local answers = require "answers"
local api = require "api"
local context = require "context"
local meter = require "meter"
local plan = require "plan"
local state = require "state"

local relay = {}
local LONGEST_ERROR = 65536 -- bytes

-- The event with which a whole stream ends.
local ENDS = {openai = "data: [DONE]", messages = "event: message_stop", responses = "event: response.completed"}

-- Who answered, after all fallbacks.
function relay.answered_by()
    local last = (ngx.var.upstream_addr or ""):match("([^%s,]+)$")
    return plan.at[last] or ngx.var.bunker_chosen or ""
end

-- header phase
function relay.mark()
    local known = ngx.ctx
    if not known.proxied then return end
    local name, reason = relay.answered_by(), ngx.var.bunker_reason
    ngx.header["X-Bunker-Service"] = name
    local tokens, counted = context.tokens(name, known.prompt)
    if tokens then ngx.header["X-Bunker-Prompt-Tokens"] = counted and tokens or "<=" .. tokens end
    if reason ~= "" then
        ngx.header["X-Bunker-Reason"] = reason
        local speed = state.learned("speed", name)
        if reason == "context" and speed and tokens then ngx.header["X-Bunker-Expected-First-Token"] = ("%.1f"):format(tokens / speed) end
    end
    if ngx.status >= 400 and not ngx.header["Content-Encoding"] then
        known.error = {}
        ngx.header["Content-Length"] = nil
        ngx.header["Content-Type"] = "application/json"
    elseif (ngx.header["Content-Type"] or ""):find("text/event-stream", 1, true) then
        known.stream = api.spoken()
        known.flushes = 0
    end
end

-- A service's own error. What is in the shape that the client expects stays as it is.
local function worded(name, status, said)
    local given = cjson.decode(said)
    local problem = type(given) == "table" and given.error
    local message = type(problem) == "table" and problem.message or problem or (type(given) == "table" and (given.message or given.detail))
    if type(message) ~= "string" then message = ("%s answered with %d."):format(name, status) end
    if type(problem) == "table" and problem.type == "exceed_context_size_error" and tonumber(problem.n_prompt_tokens) and tonumber(problem.n_ctx) then
        local sentence, more = context.overflow(problem.n_prompt_tokens, problem.n_ctx, {[name] = problem.n_ctx})
        return cjson.encode(answers.problem(status, sentence .. ".", more))
    end
    if api.spoken() == "messages" then
        return type(problem) == "table" and given.type == "error" and said or cjson.encode(answers.problem(status, message))
    end
    return cjson.encode(answers.problem(status, message, type(problem) == "table" and problem or nil)) -- llama-server has no param
end

local function gather(known, chunk, last)
    local parts = known.error
    if #table.concat(parts) + #chunk <= LONGEST_ERROR then parts[#parts + 1] = chunk end
    ngx.arg[1] = last and worded(relay.answered_by(), ngx.status, table.concat(parts)) or ""
end

-- The event that tells a client of this API that its stream broke.
local function broken(known, status, message, more)
    local problem = answers.problem(status, message, more)
    if known.stream == "openai" then return "data: " .. cjson.encode(problem) end
    if known.stream == "responses" then -- by its reference the fields stand at the top; its servers and clients know them below "error" as well
        local number = (known.last or ""):match('.*"sequence_number": ?(%d+)')
        problem.type, problem.code, problem.message, problem.param = "error", "server_error", message, cjson.null
        problem.sequence_number = number and number + 1 or 0
    end
    return "event: error\ndata: " .. cjson.encode(problem)
end

local function interrupted(known)
    known.done, known.told = true, true
    return "\n\n" .. broken(known, 502, relay.answered_by() .. " stopped in the middle of its answer. Ask again.", {type = "service_interrupted"}) .. "\n\n"
end

-- For a stream whose bytes Lua moves: the end of one that broke off, and an error that came after its head.
function relay.interrupted()
    return interrupted(ngx.ctx)
end

function relay.as_event(status, said)
    local problem = cjson.decode(worded(relay.answered_by(), status, said)).error
    ngx.ctx.done, ngx.ctx.told = true, status >= 500 -- what the client did wrong is no stream that broke
    ngx.ctx.metered = nil -- an error costs nothing, here as with its own status
    return broken(ngx.ctx, status, problem.message, problem) .. "\n\n"
end

-- llama-server's words for an error in the middle of a stream, where they are not those of the API: what stands there, and what of it tells.
local STRANGE = {messages = {"event: error\n", "event: error\ndata: ([^\n]*)"}, responses = {'data: {"error":', 'data: ({"error":[^\n]*)'}}

local function reworded(known, chunk)
    local strange = STRANGE[known.stream]
    if not strange or not chunk:find(strange[1], 1, true) then return end
    return (chunk:gsub(strange[2], function(data)
        local given = cjson.decode(data)
        if type(given) ~= "table" or given.type == "error" then return end
        local problem = type(given.error) == "table" and given.error or given
        return broken(known, tonumber(problem.code) or 500, tostring(problem.message))
    end))
end

-- body phase: nginx flushes an empty buffer before it closes a connection whose service died, and one behind a head that came without a body.
-- It runs for every token, so it looks at little.
function relay.pass()
    local known, chunk = ngx.ctx, ngx.arg[1]
    if known.error then return gather(known, chunk, ngx.arg[2]) end
    if known.metered and chunk ~= "" then meter.see(known.metered, chunk, known.stream ~= nil) end
    known.ended = known.ended or ngx.arg[2]
    if not known.stream or known.done then return end
    if chunk ~= "" then
        ngx.arg[1] = reworded(known, chunk) or chunk
        known.last = chunk
        if chunk:find(ENDS[known.stream], 1, true) then known.done = true end
    elseif not ngx.arg[2] and not known.queued then -- those of a stream that Lua moves are Lua's own
        known.flushes = known.flushes + 1
        if known.last or known.flushes > 1 then
            ngx.arg[1] = interrupted(known)
        end
    end
end

return relay
