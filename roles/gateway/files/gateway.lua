-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Decides who may ask, and what they may ask for. nginx itself moves every byte of the answers.
local cjson = require "cjson.safe"
local answers = require "answers"
local api = require "api"
local browsers = require "browsers"
local choice = require "choice"
local context = require "context"
local digests = require "digests"
local kinds = require "kinds"
local meter = require "meter"
local metrics = require "metrics"
local parameters = require "parameters"
local plan = require "plan"
local queue = require "queue"
local relay = require "relay"
local state = require "state"
local strangers = require "strangers"
local text = require "text"
local usage = require "usage"

cjson.decode_invalid_numbers(false) -- NaN and hexadecimal numbers are no JSON

local gateway = {}

local MOST_HEADERS = 90 -- llama-server takes 100, and those of the gateway are among them

-- rewrite phase: who asks?
function gateway.authenticate()
    if browsers.preflight() then return end
    answers.whatever_the_condition()
    ngx.var.bunker_path = text.echo(ngx.var.uri)
    local _, truncated = ngx.req.get_headers(MOST_HEADERS)
    if truncated then return answers.refuse(431) end
    local key = (ngx.var.http_authorization or ""):match("^[Bb]earer%s+(%S+)%s*$") or ngx.var.http_x_api_key
    if key == "" then key = nil end -- "" is true in Lua
    local name = key and plan.holder(digests.hexadecimal(key), ngx.time())
    if not name then
        if strangers.saw(ngx.var.remote_addr) then return answers.refuse(429, "Too many requests without a valid key from this address. Wait.") end
        ngx.header["WWW-Authenticate"] = "Bearer"
        return answers.refuse(401, key and "This key is unknown or revoked." or "A key is needed: Authorization: Bearer KEY.")
    end
    ngx.var.bunker_key = name
end

local function body()
    ngx.req.read_body()
    local data = ngx.req.get_body_data()
    if data then return data end
    local file = ngx.req.get_body_file() -- larger than the buffer
    return file and plan.content(file)
end

local function wrong_method(allowed)
    ngx.header["Allow"] = allowed
    return answers.refuse(405, ("%s is needed for %s"):format(allowed, text.echo(api.asked())))
end

local function unknown_model(wanted)
    return answers.refuse(404, ("Unknown model %s. Known: %s."):format(text.echo(tostring(cjson.encode(wanted))), table.concat(plan.known_to(ngx.var.bunker_key), ", ")),
                          {type = "invalid_request_error", code = "model_not_found", param = "model"})
end

-- It is asked for what it is not for.
local function wrong_kind(wanted, path)
    local others = {}
    for _, name in ipairs(plan.services) do
        if plan.routes[name].kind and kinds.does(plan.routes[name].kind, path) then others[#others + 1] = name end
    end
    return answers.refuse(400, kinds.refusal(wanted, plan.routes[wanted].kind, text.echo(ngx.var.uri), others),
                          {type = "invalid_request_error", code = "wrong_kind_of_model", param = "model"})
end

local function not_allowed(wanted)
    metrics.refuse(ngx.var.bunker_key, "model")
    return answers.refuse(403, ("The key of %s may not ask %s. It may ask %s."):format(
        ngx.var.bunker_key, wanted, table.concat(plan.known_to(ngx.var.bunker_key), ", ")), {code = "model_not_allowed", param = "model"})
end

-- Whether the holder of this key has used up the tokens of the day, and was told so.
local function used_up()
    local limit, spent, later = plan.tokens_per_day(ngx.var.bunker_key), usage.spent(ngx.var.bunker_key)
    if not limit or spent < limit then return false end
    metrics.refuse(ngx.var.bunker_key, "tokens")
    ngx.header["X-Should-Retry"] = "false" -- OpenAI's and Anthropic's clients would ask again within seconds
    answers.refuse(429, ("The key of %s has used %d of its %d tokens of this day (UTC). It may ask again in %d seconds."):format(
        ngx.var.bunker_key, spent, limit, later), {code = "rate_limit_exceeded"}, later)
    return true
end

-- A request for a service on its way to a provider, which knows itself by its own name and gets its own parameters.
local function as_the_provider_has_it(name, request, given)
    if plan.parameters[name] then given = parameters.apply(plan.parameters[name], request, given) end
    return parameters.apply({strip = {}, defaults = {}, set = {model = cjson.encode(name)}}, request, given)
end

function gateway.nothing()
    if browsers.preflight() then return end
    return answers.refuse(404, "The door leads to /v1 only.")
end

-- access phase: which service answers?
function gateway.route()
    local path = api.at_the_service(ngx.var.uri)
    if not path then return answers.refuse(404, "No such path: " .. text.echo(ngx.var.uri)) end
    if ngx.req.get_method() ~= "POST" then return wrong_method("POST") end
    local given = body() or ""
    local request, problem = cjson.decode(given)
    if type(request) ~= "table" or not given:find("^%s*{") then
        return answers.refuse(400, "The body is not a JSON object: " .. text.echo(problem or "no object"))
    end
    if not text.is_utf8(given) then return answers.refuse(400, "The body is not UTF-8, which JSON is written in.") end
    local wanted = type(request.model) == "string" and plan.named(request.model, ngx.var.bunker_key)
    if not wanted then return unknown_model(request.model) end
    local route = plan.routes[wanted]
    ngx.var.bunker_model = wanted
    if wanted ~= request.model then ngx.var.bunker_alias = request.model end
    local chosen = wanted
    if not plan.may(ngx.var.bunker_key, wanted) then return not_allowed(wanted) end
    ngx.ctx.metered = meter.begin(path, api.spoken(), request, given)
    if ngx.ctx.metered and used_up() then return end
    if not kinds.does(route.kind, path) then return wrong_kind(wanted, path) end
    if plan.parameters[wanted] and path ~= "/tokenize" then
        given = parameters.apply(plan.parameters[wanted], request, given)
        ngx.req.set_body_data(given)
    end
    local plain = given
    if route.address then
        if path == "/v1/responses" and request.text then given = parameters.schema(request, given) end
        given = parameters.tools(request, given)
        if given ~= plain then ngx.req.set_body_data(given) end
        ngx.ctx.prompt = context.measure(ngx.var.uri, request, given)
        chosen = choice.make(wanted, ngx.ctx.prompt, api.generates(path) and plan.failsafe(ngx.var.bunker_key, wanted))
        if not chosen then return end
        route = plan.routes[chosen]
        if not route.address then ngx.req.set_body_data(as_the_provider_has_it(chosen, request, plain)) end
    end
    local below = path:match("^/v1(/.*)")
    if not below and not route.address then return answers.refuse(404, ("No such path of %s: %s"):format(chosen, path)) end
    ngx.ctx.proxied = true
    ngx.var.bunker_chosen = chosen
    ngx.var.bunker_target = below and route.target .. below or route.target:gsub("/v1$", "") .. path
    ngx.var.bunker_host = route.host
    ngx.var.bunker_authorization = plan.provider_keys[chosen] and "Bearer " .. plan.provider_keys[chosen] or ""
    if route.address and request.stream == true and api.generates(path) then queue.answer(chosen, path, given) end
end

-- For the role: which configuration this worker has loaded.
function gateway.health()
    if browsers.preflight() then return end
    answers.whatever_the_condition()
    answers.json({status = "ok", configuration = plan.digest})
end

local function described(name)
    local service = plan.named(name, ngx.var.bunker_key)
    local route = plan.routes[service]
    local model = {id = name, object = "model", created = 0, owned_by = route.address and "bunker" or route.host}
    if route.address then
        model.meta = {kind = route.kind or cjson.null, n_ctx = state.learned("context", service) or cjson.null, prompt_tokens_per_second = state.learned("speed", service) or cjson.null}
    end
    return model
end

-- All models, or the one that the path names.
function gateway.models()
    local rest = ngx.var.uri:sub(#"/v1/models" + 1)
    if rest ~= "" and not rest:find("^/") then return answers.refuse(404, "No such path: " .. text.echo(ngx.var.uri)) end
    if ngx.req.get_method() ~= "GET" and ngx.req.get_method() ~= "HEAD" then return wrong_method("GET, HEAD") end
    local name = rest:sub(2)
    local wanted = plan.named(name, ngx.var.bunker_key)
    if name ~= "" and not wanted then return unknown_model(name) end
    if name ~= "" and not plan.may(ngx.var.bunker_key, wanted) then return not_allowed(wanted) end
    if name ~= "" then return answers.json(described(name)) end
    local listed = {}
    for place, known in ipairs(plan.known_to(ngx.var.bunker_key)) do listed[place] = described(known) end
    answers.json({object = "list", data = listed})
end

gateway.explain = answers.explain

-- What an answer cost. One that the client did not wait for counts too: the service was at work on it.
local function account()
    local known = ngx.ctx
    local asked = known.queued or (ngx.var.upstream_addr or "") ~= ""
    if not known.proxied or not known.metered or not asked or (ngx.status ~= 200 and ngx.status ~= 499) then return end
    local service = relay.answered_by()
    local tokens, counted = context.tokens(service, known.prompt)
    local figures = meter.figures(known.metered, known.stream ~= nil, (known.done or known.ended) and not known.told, counted and tokens)
    usage.add(ngx.var.bunker_key, ngx.var.bunker_model, service, figures)
end

-- log phase, also of what nginx could not read
function gateway.finish()
    choice.forget()
    account()
    if ngx.var.request_uri ~= "/health" then
        metrics.count(ngx.var.bunker_model ~= "" and ngx.var.bunker_model or "none", relay.answered_by(), ngx.var.bunker_reason)
    end
end

return gateway
