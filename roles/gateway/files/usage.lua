-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What the holder of each key had read and written, by day (UTC), by the model that was asked and by who answered. It lies in memory that all workers
-- share and that a reload keeps, and goes to a file for restarts: every SAVED_EVERY seconds, and when a worker ends.
local cjson = require "cjson.safe"
local plan = require "plan"

local usage = {}
local sums = ngx.shared.bunker_usage
local KEPT = 31 -- days; what is older is one sum
local SAVED_EVERY = 2 -- seconds: what a crash loses
local EARLIER = "earlier"
local DAY = 86400 -- seconds
local FIELDS = {"read", "written", "estimated", "requests"} -- estimated: requests whose tokens nobody told; the last one counted is the request itself
local PARTS = {"day", "key", "model", "service"}
local path

local function day_of(moment)
    return os.date("!%Y-%m-%d", moment)
end

local function add(row)
    local place = table.concat({row.day, row.key, row.model, row.service}, " ")
    for _, field in ipairs(FIELDS) do
        if row[field] > 0 then
            local _, problem, forced = sums:incr(field .. " " .. place, row[field], 0)
            if problem or forced then ngx.log(ngx.ERR, "the memory for usage is full: sums of tokens are lost") end
        end
    end
    if row.day == day_of(ngx.time()) then sums:incr("spent " .. row.day .. " " .. row.key, row.read + row.written, 0, 2 * DAY) end
    sums:set("changed", true)
end

-- log phase: one more request. figures: read and written, and whether that is an estimate.
function usage.add(key, model, service, figures)
    add {day = day_of(ngx.time()), key = key, model = model, service = service, requests = 1, read = figures.read, written = figures.written,
         estimated = figures.estimated and 1 or 0}
end

-- Tokens of this day that the holder of a key had read and written, and seconds until the next day.
function usage.spent(key)
    local now = ngx.time()
    return sums:get("spent " .. day_of(now) .. " " .. key) or 0, DAY - now % DAY
end

-- A list of tables with PARTS and FIELDS.
function usage.rows()
    local found, list = {}, {}
    for _, name in ipairs(sums:get_keys(0)) do
        local field, place = name:match("^(%l+) (%S+ %S+ %S+ %S+)$")
        if field then
            if not found[place] then
                local row = {requests = 0, read = 0, written = 0, estimated = 0}
                row.day, row.key, row.model, row.service = place:match("^(%S+) (%S+) (%S+) (%S+)$")
                found[place], list[#list + 1] = row, row
            end
            found[place][field] = sums:get(name) or 0
        end
    end
    table.sort(list, function(one, other)
        for _, part in ipairs(PARTS) do
            if one[part] ~= other[part] then return one[part] < other[part] end
        end
        return false
    end)
    return list
end

-- Days that are older than KEPT become one sum, which keeps the sum of all.
local function fold(rows)
    local oldest = day_of(ngx.time() - KEPT * DAY)
    for _, row in ipairs(rows) do
        if row.day ~= EARLIER and row.day < oldest then
            for _, field in ipairs(FIELDS) do sums:delete(table.concat({field, row.day, row.key, row.model, row.service}, " ")) end
            row.day = EARLIER
            add(row)
        end
    end
end

function usage.save()
    if not sums:get("changed") then return end
    sums:delete("changed")
    fold(usage.rows())
    if sums:get("unreadable") then -- kept for whoever wants to know
        os.rename(path, path .. ".unreadable")
        sums:delete("unreadable")
    end
    local anew = path .. "." .. ngx.worker.pid()
    local stream, problem = io.open(anew, "wb")
    local written = stream and stream:write(cjson.encode({rows = usage.rows()}), "\n")
    local closed = stream and stream:close()
    if not written or not closed or not os.rename(anew, path) then
        sums:set("changed", true)
        ngx.log(ngx.ERR, "what keys used cannot be written to ", path, ": ", problem or "no room, or no right")
    end
end

local function sound(row)
    for _, part in ipairs(PARTS) do
        if type(row) ~= "table" or type(row[part]) ~= "string" or not row[part]:find("^%S+$") then return false end
    end
    for _, field in ipairs(FIELDS) do
        if type(row[field]) ~= "number" or row[field] < 0 then return false end
    end
    return true
end

-- init phase: what the file of an earlier start holds, unless a reload kept the memory.
function usage.load(file)
    path = file
    if not sums:add("loaded", true) then return end
    local stream = io.open(path, "rb")
    if not stream then return end
    stream:close()
    local given = cjson.decode(plan.content(path))
    local rows = type(given) == "table" and given.rows
    if type(rows) ~= "table" or (next(rows) ~= nil and #rows == 0) then rows = {false} end -- not even a list; an empty one of cjson is {}
    for _, row in ipairs(rows) do
        if not sound(row) then
            ngx.log(ngx.ERR, path, " cannot be read; what keys used is counted from nothing, and the file is kept as ", path, ".unreadable")
            sums:flush_all()
            sums:add("loaded", true)
            sums:set("unreadable", true)
            return
        end
        add(row)
    end
end

function usage.watch()
    if ngx.worker.id() ~= 0 then return end
    ngx.timer.every(SAVED_EVERY, function(premature)
        if not premature then usage.save() end
    end)
end

return usage
