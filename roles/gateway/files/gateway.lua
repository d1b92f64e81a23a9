-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Decides who may ask, which service answers, and counts. nginx itself moves every byte of the answers.
local cjson = require "cjson.safe"
local ffi = require "ffi"

ffi.cdef "unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);"

local gateway = {}
local plan, names, provider_keys -- read once a (re)load: the routes, who stands at which address, keys that providers want
local health = ngx.shared.bunker_health
local counts = ngx.shared.bunker_counts

-- What a client may ask for; everything else of llama-server stays behind the door.
local PATHS = {
    ["/v1/chat/completions"] = true, ["/v1/completions"] = true, ["/v1/embeddings"] = true, ["/v1/responses"] = true,
    ["/v1/rerank"] = true, ["/v1/messages"] = true,
}
local BUCKETS = {0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800} -- seconds

local function content(path)
    local stream = assert(io.open(path, "rb"))
    local text = stream:read("*a")
    stream:close()
    return text
end

local function sha256(text)
    local digest = ffi.new("unsigned char[32]")
    ffi.C.SHA256(text, #text, digest)
    return (ffi.string(digest, 32):gsub(".", function(letter) return ("%02x"):format(letter:byte()) end))
end

-- An error as OpenAI's clients know it.
function gateway.refuse(status, kind, message)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.print(cjson.encode({error = {message = message, type = kind, code = status}}))
    return ngx.exit(ngx.HTTP_OK) -- the answer above is the whole answer
end

function gateway.load(path)
    plan = assert(cjson.decode(content(path)))
    names, provider_keys = {}, {}
    for name, route in pairs(plan.routes) do
        for _, field in ipairs {"address", "fallback", "key_file"} do
            if route[field] == "" then route[field] = nil end -- "" is true in Lua
        end
        if route.address then names[route.address] = name end
        if route.key_file then provider_keys[name] = content(route.key_file):gsub("%s+$", "") end
    end
end

-- rewrite phase: who asks?
function gateway.authenticate()
    local key = (ngx.var.http_authorization or ""):match("^[Bb]earer%s+(%S+)%s*$") or ngx.var.http_x_api_key
    if key == "" then key = nil end -- "" is true in Lua
    local name = key and plan.keys[sha256(key)]
    if not name then
        ngx.header["WWW-Authenticate"] = "Bearer"
        return gateway.refuse(401, "authentication_error", key and "This key is unknown or revoked." or "A key is needed: Authorization: Bearer KEY.")
    end
    ngx.var.bunker_key = name
end

local function body()
    ngx.req.read_body()
    local data = ngx.req.get_body_data()
    if data then return data end
    local file = ngx.req.get_body_file() -- larger than the buffer
    return file and content(file)
end

local function known()
    local found = {}
    for name in pairs(plan.routes) do found[#found + 1] = name end
    table.sort(found)
    return found
end

-- access phase: which service answers?
function gateway.route()
    if not PATHS[ngx.var.uri] then
        return gateway.refuse(404, "invalid_request_error", "No such path: " .. ngx.var.uri)
    end
    if ngx.req.get_method() ~= "POST" then
        return gateway.refuse(405, "invalid_request_error", "POST is needed for " .. ngx.var.uri)
    end
    local text = body() or ""
    local request, problem = cjson.decode(text)
    if type(request) ~= "table" or not text:find("^%s*{") then
        return gateway.refuse(400, "invalid_request_error", "The body is not a JSON object: " .. (problem or "no object"))
    end
    local wanted = request.model
    local route = type(wanted) == "string" and plan.routes[wanted]
    if not route then
        return gateway.refuse(404, "model_not_found", ("Unknown model %s. Known: %s."):format(cjson.encode(wanted), table.concat(known(), ", ")))
    end
    local chosen = wanted
    -- A service that is known to be down is not even tried; one that fails unannounced is left to nginx's own next upstream.
    if route.fallback and health:get(wanted) == 0 and health:get(route.fallback) == 1 then
        chosen, route = route.fallback, plan.routes[route.fallback]
    end
    ngx.var.bunker_model = wanted
    ngx.var.bunker_chosen = chosen
    ngx.var.bunker_target = route.target .. ngx.var.uri:sub(#"/v1" + 1)
    ngx.var.bunker_host = route.host
    -- The client's key ends here.
    ngx.var.bunker_authorization = provider_keys[chosen] and "Bearer " .. provider_keys[chosen] or ""
    ngx.req.clear_header("X-Api-Key")
end

-- Who answered, after all fallbacks.
local function answered_by()
    local last = (ngx.var.upstream_addr or ""):match("([^%s,]+)$")
    return names[last] or ngx.var.bunker_chosen or ""
end

function gateway.mark()
    ngx.header["X-Bunker-Service"] = answered_by()
    if (ngx.header["Content-Type"] or ""):find("text/event-stream", 1, true) then ngx.ctx.stream = true end
end

-- A stream whose service died ends with an event that says so: nginx flushes an empty buffer before it closes such a connection.
-- It runs for every token, so it looks at little.
function gateway.watch_stream()
    local state = ngx.ctx
    if not state.stream or state.done then return end
    local chunk = ngx.arg[1]
    if chunk ~= "" then
        state.begun = true
        if chunk:find("[DONE]", 1, true) then state.done = true end
    elseif state.begun and not ngx.arg[2] then
        state.done, state.told = true, true
        ngx.arg[1] = "\n\ndata: " .. cjson.encode({error = {message = answered_by() .. " stopped in the middle of its answer. Ask again.",
            type = "service_interrupted", code = 502}}) .. "\n\n"
    end
end

-- For the role: which configuration this worker has loaded.
function gateway.health()
    ngx.header["Content-Type"] = "application/json"
    ngx.print(cjson.encode({status = "ok", configuration = plan.digest}))
end

function gateway.models()
    local listed = {}
    for place, name in ipairs(known()) do
        listed[place] = {id = name, object = "model", created = 0, owned_by = plan.routes[name].address and "bunker" or plan.routes[name].host}
    end
    ngx.header["Content-Type"] = "application/json"
    ngx.print(cjson.encode({object = "list", data = listed}))
end

-- log phase, of every answer: nginx's own refusals count too
function gateway.count()
    if not ngx.var.request_uri:find("^/v1/") then return end
    local model = ngx.var.bunker_model ~= "" and ngx.var.bunker_model or "none"
    local labels = ('model="%s",service="%s"'):format(model, answered_by())
    counts:incr(('bunker_gateway_requests_total{%s,status="%s"}'):format(labels, ngx.status), 1, 0)
    if ngx.ctx.told then counts:incr(('bunker_gateway_streams_interrupted_total{%s}'):format(labels), 1, 0) end
    local seconds = tonumber(ngx.var.request_time) or 0
    for _, bound in ipairs(BUCKETS) do
        if seconds <= bound then counts:incr(('bunker_gateway_request_seconds_bucket{%s,le="%s"}'):format(labels, bound), 1, 0) end
    end
    counts:incr(('bunker_gateway_request_seconds_bucket{%s,le="+Inf"}'):format(labels), 1, 0)
    counts:incr(('bunker_gateway_request_seconds_count{%s}'):format(labels), 1, 0)
    counts:incr(('bunker_gateway_request_seconds_sum{%s}'):format(labels), seconds, 0)
end

local KINDS = {bunker_gateway_requests_total = "counter", bunker_gateway_streams_interrupted_total = "counter", bunker_gateway_request_seconds = "histogram",
               bunker_gateway_service_up = "gauge", bunker_gateway_connections = "gauge"}

-- Prometheus' text format 0.0.4
function gateway.metrics()
    local lines, typed = {}, {}
    for _, key in ipairs(counts:get_keys(0)) do lines[#lines + 1] = key .. " " .. counts:get(key) end
    for name, route in pairs(plan.routes) do
        if route.address then lines[#lines + 1] = ('bunker_gateway_service_up{service="%s"} %d'):format(name, health:get(name) or 0) end
    end
    lines[#lines + 1] = "bunker_gateway_connections " .. (ngx.var.connections_active or 0)
    table.sort(lines)
    ngx.header["Content-Type"] = "text/plain; version=0.0.4"
    for _, line in ipairs(lines) do
        local family = line:match("^[a-z_]+"):gsub("_bucket$", ""):gsub("_count$", ""):gsub("_sum$", "")
        if not typed[family] then
            typed[family] = true
            ngx.say("# TYPE ", family, " ", KINDS[family] or "untyped")
        end
        ngx.say(line)
    end
end

local function look(_premature, name, route)
    local socket = ngx.socket.tcp()
    socket:settimeouts(1000, 1000, 2000)
    local host, port = route.address:match("^(.*):(%d+)$")
    local up = 0
    if socket:connect(host, tonumber(port)) then
        socket:send("GET /health HTTP/1.0\r\nHost: " .. host .. "\r\n\r\n")
        up = (socket:receive("*l") or ""):find(" 200", 1, true) and 1 or 0
        socket:close()
    end
    health:set(name, up)
end

-- One worker asks all services every second; each in a light thread of its own, so that a silent one delays no other.
function gateway.watch_services()
    if ngx.worker.id() ~= 0 then return end
    local function round(premature)
        if premature then return end
        for name, route in pairs(plan.routes) do
            if route.address then ngx.thread.spawn(look, false, name, route) end
        end
    end
    ngx.timer.at(0, round)
    ngx.timer.every(1, round)
end

return gateway
