-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Texts of clients, which may hold anything.
local text = {}
local LONGEST_ECHO = 120 -- bytes

function text.is_utf8(given)
    local _, _, problem = ngx.re.find(given, "", "u") -- PCRE looks at the whole subject before it begins
    return not problem
end

-- A client's own words for an answer or the log: short, and UTF-8 whatever they were.
function text.echo(given)
    if #given > LONGEST_ECHO then given = given:sub(1, LONGEST_ECHO):gsub("[\192-\255][\128-\191]*$", "") .. "..." end
    return text.is_utf8(given) and given or (given:gsub("[\128-\255]", "?"))
end

return text
