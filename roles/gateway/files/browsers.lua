-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What browsers must be told before a page of another origin, or an app that is made like one, may ask: the rules are those of the Fetch standard (CORS).
local plan = require "plan"

local browsers = {}

-- Request headers of OpenAI's and Anthropic's clients and of their kin; each beginning stands for all headers that begin so.
local USUAL = {"authorization", "content-type", "x-api-key", "anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access"}
local ALLOWED = {accept = true, ["user-agent"] = true, ["x-requested-with"] = true, ["x-request-id"] = true, ["idempotency-key"] = true,
                 ["http-referer"] = true, ["x-title"] = true}
local BEGINNINGS = {"^x%-stainless%-[%w-]+$", "^openai%-[%w-]+$", "^anthropic%-[%w-]+$"}
local TELLING = "X-Bunker-Service, X-Bunker-Reason, X-Bunker-Prompt-Tokens, X-Bunker-Expected-First-Token, Retry-After"
local REMEMBERED = 7200 -- seconds; no browser keeps it for longer than some hours
local MOST = 100 -- headers that are answered for

local function is_allowed(name)
    if ALLOWED[name] then return true end
    for _, beginning in ipairs(BEGINNINGS) do
        if name:find(beginning) then return true end
    end
end

-- The usual ones, and of those that were asked for what is allowed besides.
local function allowed_headers(asked)
    local names, seen = {unpack(USUAL)}, {}
    for _, name in ipairs(USUAL) do seen[name] = true end
    for name in asked:lower():gmatch("%s*([^,]*[^,%s])") do
        if not seen[name] and #names < MOST and is_allowed(name) then names[#names + 1] = name end
        seen[name] = true
    end
    return table.concat(names, ", ")
end

-- The origin that asks, if the inventory lists it.
local function listed()
    local origin = ngx.var.http_origin
    return origin and plan.may_ask[origin] and origin
end

-- rewrite or content phase: a browser asks without a key whether it may ask. Returns whether that was it.
function browsers.preflight()
    if ngx.req.get_method() ~= "OPTIONS" then return false end
    if listed() then
        ngx.header["Access-Control-Allow-Methods"] = "GET, POST"
        ngx.header["Access-Control-Allow-Headers"] = allowed_headers(ngx.var.http_access_control_request_headers or "")
        ngx.header["Access-Control-Max-Age"] = REMEMBERED
        if ngx.var.http_access_control_request_private_network == "true" then ngx.header["Access-Control-Allow-Private-Network"] = "true" end
    end
    ngx.ctx.preflight = true
    ngx.status = 204
    ngx.exit(204)
    return true
end

-- header phase, of all answers, errors too
function browsers.mark()
    local origin = listed()
    ngx.header["Vary"] = ngx.ctx.preflight and "Origin, Access-Control-Request-Method, Access-Control-Request-Headers" or "Origin"
    if not origin then return end
    ngx.header["Access-Control-Allow-Origin"] = origin
    if not ngx.ctx.preflight then ngx.header["Access-Control-Expose-Headers"] = TELLING end
end

return browsers
