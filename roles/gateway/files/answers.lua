-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What the gateway says itself, in the words of the API that was asked.
local cjson = require "cjson.safe"
local api = require "api"
local plan = require "plan"
local text = require "text"

local answers = {}

-- By status; what stands in none of them is the client's fault below 500 and the server's above.
local OPENAI = {[401] = "authentication_error", [403] = "permission_error", [429] = "rate_limit_error", [500] = "server_error"}
local ANTHROPIC = {[401] = "authentication_error", [403] = "permission_error", [404] = "not_found_error", [413] = "request_too_large",
                   [429] = "rate_limit_error", [503] = "overloaded_error", [504] = "timeout_error", [529] = "overloaded_error"}

local SAID = {
    [400] = "The request is not understood.",
    [404] = "No such path.",
    [405] = "This method is not allowed here.",
    [408] = "The request did not arrive in time.",
    [413] = "The request is larger than %s.",
    [414] = "The address of the request is too long.",
    [429] = "Too many requests with this key. Wait.",
    [431] = "The headers of the request are too many or too large.",
    [500] = "The gateway failed.",
    [502] = "No service answers.",
    [503] = "No service answers at present.",
    [504] = "The service was silent for too long.",
}
local LATER = {[429] = true, [502] = true, [503] = true, [504] = true} -- may be asked again

-- Answers that Lua gives have no versions, so conditions on them are not looked at, as nginx does with those of services. It would answer with a page of
-- its own (412) and end the connection without a word.
function answers.whatever_the_condition()
    for _, name in ipairs {"If-Match", "If-None-Match", "If-Unmodified-Since"} do ngx.req.clear_header(name) end
end

function answers.json(value)
    ngx.header["Content-Type"] = "application/json"
    ngx.print(cjson.encode(value))
end

-- An error as a table. more: further fields of it; code and param are OpenAI's alone. A code is the status, where OpenAI has no word for it.
function answers.problem(status, message, more)
    local problem = {message = message}
    for name, value in pairs(more or {}) do problem[name] = value end
    if api.spoken() == "messages" then
        problem.type, problem.code, problem.param = ANTHROPIC[status] or (status < 500 and "invalid_request_error" or "api_error"), nil, nil
        return {type = "error", error = problem}
    end
    problem.type = problem.type or OPENAI[status] or (status < 500 and "invalid_request_error" or "service_unavailable")
    problem.code, problem.param = problem.code or status, problem.param or cjson.null
    return {error = problem}
end

-- message: what the status says, where nothing is given. later: after how many seconds it may be asked again, where that is known.
function answers.refuse(status, message, more, later)
    message = message or (SAID[status] or SAID[400]):format(plan.body_limit)
    ngx.status = status
    if LATER[status] then ngx.header["Retry-After"] = later or 10 end
    answers.json(answers.problem(status, message, more))
    return ngx.exit(ngx.HTTP_OK) -- the answer above is the whole answer
end

-- content phase: where nginx itself refused, or a service did not answer
function answers.explain()
    ngx.req.discard_body()
    if ngx.var.bunker_path == "" then ngx.var.bunker_path = text.echo(api.asked()) end -- it was refused before anything of the gateway saw it
    return answers.refuse(ngx.status)
end

return answers
