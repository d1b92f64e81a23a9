-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What the inventory sets, presumes and strips of a request. Only its outermost members are touched: the rest stays as the client wrote it, to the byte,
-- because a JSON library of Lua knows no empty arrays and rounds long numbers.
local cjson = require "cjson.safe"

local parameters = {}

-- Where a text ends that begins there.
local function end_of_text(body, from)
    local at = from + 1
    while true do
        at = body:find('["\\]', at)
        if body:byte(at) == 34 then return at end
        at = at + 2 -- what a backslash escapes
    end
end

-- The members of a JSON object, or the elements of an array, that a library has found sound: a list of text, and of members the name.
local function parts(body)
    local found, depth, name = {}, 0, nil
    local from = body:find("[{%[]") + 1
    local at = from
    while true do
        local where = body:find('["{}%[%],]', at)
        local sign = body:sub(where, where)
        if sign == '"' then
            local ends = end_of_text(body, where)
            name = name or cjson.decode("[" .. body:sub(where, ends) .. "]")[1]
            where = ends
        elseif sign == "{" or sign == "[" then
            depth = depth + 1
        elseif depth > 0 then
            if sign ~= "," then depth = depth - 1 end
        else -- a comma or the end
            local text = body:sub(from, where - 1)
            if text:find("%S") then found[#found + 1] = {name = name, text = text} end
            if sign ~= "," then return found end
            from, name = where + 1, nil
        end
        at = where + 1
    end
end

-- The body with what the rules say; request, the same as a table, is changed likewise.
-- rules: set and defaults, each name to JSON, and strip, a list of names. What is null was not said.
function parameters.apply(rules, request, body)
    local drop, put = {}, {}
    for _, name in ipairs(rules.strip) do drop[name] = true end
    for name, value in pairs(rules.set) do put[name] = value end
    for name, value in pairs(rules.defaults) do
        if request[name] == nil or request[name] == cjson.null then put[name] = value end
    end
    local kept = {}
    for _, member in ipairs(parts(body)) do
        if not drop[member.name] and not put[member.name] then kept[#kept + 1] = member.text end
    end
    for name in pairs(drop) do request[name] = nil end
    for name, value in pairs(put) do
        kept[#kept + 1] = cjson.encode(name) .. ":" .. value
        request[name] = cjson.decode("[" .. value .. "]")[1]
    end
    return "{" .. table.concat(kept, ",") .. "}"
end

-- The text of a member within members of a JSON object, as the client wrote it; nothing where it is not there.
local function written(body, ...)
    for _, name in ipairs {...} do
        local found
        if not body:find("^%s*{") then return end
        for _, member in ipairs(parts(body)) do
            if member.name == name then found = member.text end
        end
        if not found then return end
        body = found:sub(found:find(":", end_of_text(found, (found:find('"', 1, true))), true) + 1)
    end
    return body
end

-- llama-server reads a JSON schema where OpenAI's chat API has it, and does not look where the Responses API has it: a client would get free text for an
-- object. The schema is said in both places; the request as a table stays as it is, for a provider that may answer in the end.
function parameters.schema(request, body)
    local format = type(request.text) == "table" and request.text.format
    if type(format) ~= "table" or request.response_format ~= nil then return body end
    local put
    if format.type == "json_object" then put = '{"type":"json_object"}' end
    if format.type == "json_schema" and type(format.schema) == "table" then
        put = '{"type":"json_schema","json_schema":{"name":"answer","schema":' .. written(body, "text", "format", "schema") .. "}}"
    end
    return put and parameters.apply({strip = {}, defaults = {}, set = {response_format = put}}, {}, body) or body
end

-- The names of the functions that a client's tool_choice is about, and how llama-server is told; nothing where it is no such choice. OpenAI's APIs name one
-- function, or those that are allowed; Anthropic's one tool, which llama-server takes as any of them.
local function chosen(choice)
    if choice.type == "tool" then return {choice}, '{"type":"any"}' end
    if choice.type == "function" then return {choice}, '"required"' end
    local allowed = type(choice.allowed_tools) == "table" and choice.allowed_tools or choice
    if choice.type == "allowed_tools" and type(allowed.tools) == "table" then
        return allowed.tools, allowed.mode == "required" and '"required"' or '"auto"'
    end
end

local function name_of(tool)
    if type(tool) ~= "table" then return end
    return type(tool["function"]) == "table" and tool["function"].name or tool.name
end

-- llama-server knows no function by name in tool_choice: it takes such a choice for "auto" (Anthropic's for "any") and calls whichever it likes, and Anthropic's
-- "none" for "auto". So it gets only the tools that were chosen, and has to call one where the client said so. The request as a table stays as it is.
function parameters.tools(request, body)
    local choice = request.tool_choice
    if type(choice) ~= "table" or type(request.tools) ~= "table" then return body end
    if choice.type == "none" then return parameters.apply({strip = {"tools", "tool_choice"}, defaults = {}, set = {}}, {}, body) end
    local wanted, told = chosen(choice)
    local offered = wanted and written(body, "tools")
    if not offered or not offered:find("^%s*%[") then return body end
    local names, kept = {}, {}
    for _, tool in ipairs(wanted) do names[name_of(tool) or 0] = true end
    for _, part in ipairs(parts(offered)) do
        if names[name_of(cjson.decode(part.text)) or 1] then kept[#kept + 1] = part.text end
    end
    if #kept == 0 then return body end -- the client chose what it does not offer
    return parameters.apply({strip = {}, defaults = {}, set = {tools = "[" .. table.concat(kept, ",") .. "]", tool_choice = told}}, {}, body)
end

return parameters
