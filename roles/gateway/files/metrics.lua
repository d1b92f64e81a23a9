-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Counts the answers, and shows the counts to Prometheus.
local plan = require "plan"
local state = require "state"
local usage = require "usage"

local metrics = {}
local counts = ngx.shared.bunker_counts
local BUCKETS = {0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800} -- seconds
local KINDS = {requests_total = "counter", streams_interrupted_total = "counter", rerouted_total = "counter", refused_context_total = "counter",
               request_seconds = "histogram", tokens_read_total = "counter", tokens_written_total = "counter", metered_requests_total = "counter",
               estimated_requests_total = "counter", refused_key_total = "counter"} -- others are gauges

local function add(name, labels, step)
    counts:incr(("bunker_gateway_%s{%s}"):format(name, labels), step or 1, 0)
end

-- log phase, of every answer: nginx's own refusals count too
function metrics.count(model, service, reason)
    local labels = ('model="%s",service="%s"'):format(model, service)
    add("requests_total", ('%s,status="%s"'):format(labels, ngx.status))
    if ngx.ctx.told then add("streams_interrupted_total", labels) end
    if reason ~= "" then add("rerouted_total", ('%s,reason="%s"'):format(labels, reason)) end
    if ngx.ctx.too_long then add("refused_context_total", ('model="%s"'):format(model)) end
    local seconds = tonumber(ngx.var.request_time) or 0
    for _, bound in ipairs(BUCKETS) do
        if seconds <= bound then add("request_seconds_bucket", ('%s,le="%s"'):format(labels, bound)) end
    end
    add("request_seconds_bucket", labels .. ',le="+Inf"')
    add("request_seconds_count", labels)
    add("request_seconds_sum", labels, seconds)
end

-- A key's holder was refused what others may. reason: "model" or "tokens"
function metrics.refuse(key, reason)
    add("refused_key_total", ('key="%s",reason="%s"'):format(key, reason))
end

-- What the holders of keys used, since the file of it was begun: lines for Prometheus.
local function used(lines)
    local names, found = {read = "tokens_read_total", written = "tokens_written_total", requests = "metered_requests_total",
                          estimated = "estimated_requests_total"}, {}
    for _, row in ipairs(usage.rows()) do
        for field, name in pairs(names) do
            local sample = ('bunker_gateway_%s{key="%s",model="%s",service="%s"}'):format(name, row.key, row.model, row.service)
            found[sample] = (found[sample] or 0) + row[field]
        end
    end
    for sample, value in pairs(found) do lines[#lines + 1] = ("%s %d"):format(sample, value) end
    for key, holder in pairs(plan.holders) do
        if holder.tokens_per_day then
            lines[#lines + 1] = ('bunker_gateway_tokens_of_the_day{key="%s"} %d'):format(key, (usage.spent(key)))
            lines[#lines + 1] = ('bunker_gateway_tokens_per_day_limit{key="%s"} %d'):format(key, holder.tokens_per_day)
        end
    end
end

-- Prometheus' text format 0.0.4
function metrics.show()
    local lines, typed = {}, {}
    for _, key in ipairs(counts:get_keys(0)) do lines[#lines + 1] = key .. " " .. counts:get(key) end
    local function gauge(name, service, value) lines[#lines + 1] = ('bunker_gateway_%s{service="%s"} %d'):format(name, service, value) end
    for _, name in ipairs(plan.services) do
        gauge("service_up", name, state.up(name) and 1 or 0)
        gauge("draining", name, state.draining(name) > 0 and 1 or 0)
        gauge("in_flight", name, state.counted("in_flight", name))
        gauge("waiting", name, state.counted("waiting", name))
    end
    used(lines)
    lines[#lines + 1] = "bunker_gateway_connections " .. (ngx.var.connections_active or 0)
    table.sort(lines)
    ngx.header["Content-Type"] = "text/plain; version=0.0.4"
    for _, line in ipairs(lines) do
        local family = line:match("^[a-z_]+"):gsub("_bucket$", ""):gsub("_count$", ""):gsub("_sum$", "")
        if not typed[family] then
            typed[family] = true
            ngx.say("# TYPE ", family, " ", KINDS[family:sub(#"bunker_gateway_" + 1)] or "gauge")
        end
        ngx.say(line)
    end
end

return metrics
