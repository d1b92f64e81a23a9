-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What the gateway says itself.
local cjson = require "cjson.safe"

local answers = {}

function answers.json(value)
    ngx.header["Content-Type"] = "application/json"
    ngx.print(cjson.encode(value))
end

-- An error as OpenAI's clients know it. more: further fields of it.
function answers.refuse(status, kind, message, more)
    ngx.status = status
    local problem = {message = message, type = kind, code = status}
    for name, value in pairs(more or {}) do problem[name] = value end
    answers.json({error = problem})
    return ngx.exit(ngx.HTTP_OK) -- the answer above is the whole answer
end

return answers
