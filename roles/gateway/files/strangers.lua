-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Who asks without a valid key: how often an address may, and one line a minute in the log for what it does besides its first attempt.
-- Holders of keys are never kept out: they may have the same address.
local cjson = require "cjson.safe"
local plan = require "plan"

local strangers = {}
local counts = ngx.shared.bunker_strangers
local WINDOW = 60 -- seconds

-- Counts an attempt; returns whether it is one too many.
function strangers.saw(address)
    local seen = counts:incr("seen:" .. address, 1, 0, WINDOW) or 1
    if seen > 1 then
        counts:incr("untold:" .. address, 1, 0)
        ngx.var.bunker_untold = "1"
    end
    return seen > plan.wrong_keys_per_minute
end

-- To the journal like nginx's own lines, of which the access log is made.
function strangers.tell()
    local journal = ngx.socket.udp()
    if not journal:setpeername("unix:/dev/log") then return end
    for _, key in ipairs(counts:get_keys(0)) do
        local address = key:match("^untold:(.*)$")
        local count = address and counts:get(key)
        if count then
            counts:delete(key)
            journal:send("<190>bunker_gateway: " .. cjson.encode({without_key = count, from = address, seconds = WINDOW}))
        end
    end
    journal:close()
end

function strangers.watch()
    if ngx.worker.id() == 0 then ngx.timer.every(WINDOW, strangers.tell) end
end

return strangers
