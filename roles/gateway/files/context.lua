-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- Whether a service holds a prompt. A text has never more tokens than bytes, so most prompts need no counting; the others are counted by the
-- service itself, which reads them as it will read them to answer, without the GPU or a slot.
local cjson = require "cjson.safe"
local api = require "api"
local ask = require "ask"
local plan = require "plan"
local state = require "state"

local context = {}
local PATIENCE = 2000 -- milliseconds for the count
local COUNTABLE = 4 * 1024 * 1024 -- bytes of a request
local PROMPT, MESSAGE, TOOLS = 512, 16, 1024 -- tokens at most that a template adds to each; some have a system text of their own
local LONGEST_TOKEN = 128 -- bytes; what is longer than the context times this is too long, counted or not

-- What of a request becomes text of the prompt, and which path of llama-server counts it.
local KINDS = {
    ["/v1/chat/completions"] = {texts = {"messages"}, tools = {"tools", "functions", "response_format"}, counts = "/v1/chat/completions/input_tokens"},
    ["/v1/messages"] = {texts = {"system", "messages"}, tools = {"tools"}, counts = "/v1/messages/count_tokens"},
    ["/v1/responses"] = {texts = {"instructions", "input"}, tools = {"tools", "text"}, counts = "/v1/responses/input_tokens"},
    ["/v1/completions"] = {texts = {"prompt"}, tools = {}},
}
local TEXTS = {text = true, input_text = true, output_text = true, message = true, tool_use = true, tool_result = true, thinking = true, refusal = true,
               ["function"] = true, function_call = true, function_call_output = true, reasoning = true, summary_text = true, reasoning_text = true}

-- Bytes of all texts in it, and whether there is something else, a picture for example.
local function weigh(value)
    if type(value) == "string" then return #value, false end
    if type(value) ~= "table" then return 32, false end -- a number may be written with more digits than it had
    if type(value.type) == "string" and not TEXTS[value.type] then return 0, true end
    local bytes, other = 4, false -- brackets, and a comma and a space for each part
    for key, part in pairs(value) do
        local more, strange = weigh(part)
        bytes, other = bytes + more + 4 + (type(key) == "string" and #key + 6 or 0), other or strange
    end
    return bytes, other
end

-- A request's prompt: the tokens that it has at most, or nothing for what has no prompt.
function context.measure(path, request, body)
    local kind = KINDS[path]
    if not kind then return end
    local prompt = {kind = kind, body = body, counted = {}, bound = PROMPT}
    for _, field in ipairs(kind.texts) do
        local value = request[field]
        if value ~= nil then
            local bytes, other = weigh(value)
            local messages = type(value) == "table" and #value or 1
            prompt.bound, prompt.other = prompt.bound + bytes + messages * MESSAGE, prompt.other or other
        end
    end
    for _, field in ipairs(kind.tools) do -- schemas, which a template may write with spaces
        if type(request[field]) == "table" then prompt.bound = prompt.bound + 2 * #(cjson.encode(request[field]) or body) + TOOLS end
    end
    if request.chat_template_kwargs ~= nil then prompt.other = true end -- what a template makes of them only the server knows
    if not kind.counts then prompt.text = type(request.prompt) == "string" and request.prompt end
    return prompt
end

local function count(name, prompt)
    local address, kind = plan.routes[name].address, prompt.kind
    if #prompt.body > COUNTABLE then return end
    if kind.counts then
        local status, text = ask(address, "POST", kind.counts, prompt.body, PATIENCE)
        local found = status == 200 and cjson.decode(text)
        return type(found) == "table" and tonumber(found.input_tokens) or nil
    elseif prompt.text then
        local question = cjson.encode({content = prompt.text, add_special = true, parse_special = true})
        local status, text = ask(address, "POST", "/tokenize", question, PATIENCE)
        return status == 200 and select(2, text:gsub("%d+", "")) or nil
    end
end

-- Does this service hold it? "yes", "no", or "unknown": then only the server can tell.
function context.judge(name, prompt)
    local holds = prompt and state.learned("context", name)
    if not holds or (not prompt.other and prompt.bound + 1 <= holds) then return "yes" end
    if prompt.counted[name] == nil then prompt.counted[name] = count(name, prompt) or false end
    local tokens = prompt.counted[name]
    if tokens then return tokens + 1 <= holds and "yes" or "no" end
    if prompt.other then return "unknown" end
    return (#prompt.body > COUNTABLE or prompt.bound > holds * LONGEST_TOKEN) and "no" or "unknown"
end

-- The tokens of a prompt by that service's count or by another's, and whether they were counted; nothing where there was no need to count.
function context.tokens(name, prompt)
    if not prompt then return end
    local tried = false
    for _, whose in ipairs {name, ngx.var.bunker_model} do
        if prompt.counted[whose] then return prompt.counted[whose], true end
        tried = tried or prompt.counted[whose] == false
    end
    if tried and not prompt.other then return prompt.bound, false end
end

-- Whether it may be sent there without counting once more.
function context.likely(name, prompt)
    local holds = prompt and state.learned("context", name)
    return not holds or (context.tokens(name, prompt) or prompt.bound) + 1 <= holds
end

-- The words for a prompt that is too long, by which clients know it: llama-server's own and OpenAI's code, or Anthropic's. more: what else is known.
-- Some look for the code in the text of the error alone, where OpenAI's own client puts nothing but the message.
-- A context holds the prompt and one token of the answer.
function context.overflow(tokens, holds, more)
    if api.spoken() == "messages" then return ("prompt is too long: %d tokens > %d maximum"):format(tokens, holds - 1) end
    return ("The request (%d tokens) exceeds the available context size (%d tokens), context_length_exceeded"):format(tokens, holds),
        {type = "invalid_request_error", code = "context_length_exceeded", param = api.prompt_of(api.asked()), prompt_tokens = tokens, limits = more}
end

-- Who holds how much, for whom nobody can answer.
function context.refuse(names, prompt)
    local said, limits, most, largest = {}, {}, 0, 0
    for place, name in ipairs(names) do
        local tokens, counted = context.tokens(name, prompt)
        limits[name] = state.learned("context", name)
        most, largest = math.max(most, tokens), math.max(largest, limits[name])
        said[place] = ("%s holds %d with the answer, the prompt has %s"):format(
            name, limits[name], tokens .. (counted and " (counted)" or " at most (estimated from its bytes)"))
    end
    local message, more = context.overflow(most, largest, limits)
    return message .. ": " .. table.concat(said, "; ") .. ". Shorten it or send it in parts; GET /v1/models tells what each model holds.", more
end

return context
